//! Do refunds, partial approvals, tips and troubles of a terminal come out as they should?

//! Nothing: the comparison is the bench `codec`.

//! ZVT terminals.

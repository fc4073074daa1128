//! HTTP terminals.

//! Is the same document charged once, whatever comes twice?

//! The words and the seam.

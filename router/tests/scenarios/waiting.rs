//! Does a payment go on when the one who waits for it leaves, and does nobody wait for ever?

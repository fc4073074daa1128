//! Is what no point of sale should send answered as promised, and does the next good webhook still work?

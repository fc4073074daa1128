//! Do registers share terminals one after the other, and does nobody start after he was sent away?

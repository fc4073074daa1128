//! What a driver reported outside of its payments, where a test can look at it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::driver::NotStored;
use crate::line::{KeepLate, LineWatch};
use crate::outcome::Outcome;
use crate::payment::PaymentId;

/// What came too late, in order. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct KeptLate(Arc<Mutex<Vec<Said>>>);

/// About which payment, if that was known, and what.
type Said = (Option<PaymentId>, Outcome);

impl KeptLate {
    /// Somebody for [`watch_line`](crate::TerminalDriver::watch_line) who keeps it here.
    pub fn watch(&self) -> LineWatch {
        LineWatch::default().with_late(self.clone())
    }

    /// What was kept so far.
    pub fn said(&self) -> Vec<Said> {
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeepLate for KeptLate {
    async fn late(&self, earlier: Option<PaymentId>, said: &Outcome) -> Result<(), NotStored> {
        self.kept().push((earlier, said.clone()));
        Ok(())
    }
}

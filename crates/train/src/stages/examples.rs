//! Where a stage's examples come from.

use std::sync::Arc;

use crate::BoxError;
use crate::forward::Example;

/// Examples by index, made when they are asked for.
pub trait Examples: Sync {
    /// Told what will be asked for next, in that order.
    fn ahead(&self, _order: &[usize]) {}

    /// One example.
    fn example(&self, index: usize) -> Result<Arc<Example>, BoxError>;
}

/// Examples in memory.
impl Examples for Vec<Arc<Example>> {
    fn example(&self, index: usize) -> Result<Arc<Example>, BoxError> {
        Ok(Arc::clone(&self[index]))
    }
}

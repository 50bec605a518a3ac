//! Results with a backward pass of their own: computed off candle's tape by whatever is fastest, put
//! on it as one node. A node keeps its inputs and its result, nothing in between.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp3, Layout, MetalStorage, Result, Shape, Storage,
    Tensor,
};

/// What a backward pass is given beside the inputs.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// What the node computed.
    pub result: &'a Tensor,
    /// The loss's gradient with respect to it.
    pub gradient: &'a Tensor,
}

/// `result` as a function of `input`, with that backward pass.
pub(crate) fn node1<F>(input: &Tensor, result: &Tensor, backward: F) -> Result<Tensor>
where
    F: Fn(&Tensor, Given<'_>) -> Result<Option<Tensor>> + Send + Sync + 'static,
{
    input.apply_op1(Node::new(result, backward)?)
}

/// `result` as a function of three inputs.
pub(crate) fn node3<F>(inputs: [&Tensor; 3], result: &Tensor, backward: F) -> Result<Tensor>
where
    F: Fn([&Tensor; 3], Given<'_>) -> Result<[Option<Tensor>; 3]> + Send + Sync + 'static,
{
    let [first, second, third] = inputs;
    first.apply_op3(second, third, Node::new(result, backward)?)
}

/// An operation whose result is known before it is applied.
struct Node<F> {
    /// Until the operation is applied.
    result: Mutex<Option<Tensor>>,
    backward: F,
}

impl<F> Node<F> {
    fn new(result: &Tensor, backward: F) -> Result<Self> {
        let (whole, layout) = (result.detach(), result.layout());
        // The storage is handed on as it is: it has to begin with the result.
        let whole = if layout.is_contiguous() && layout.start_offset() == 0 {
            whole
        } else {
            whole.force_contiguous()?
        };
        Ok(Self {
            result: Mutex::new(Some(whole)),
            backward,
        })
    }

    /// A copy of the result's storage, taken from it by `pick` for the device that asks.
    fn take<S: BackendStorage>(&self, pick: impl Fn(&Storage) -> Option<&S>) -> Result<(S, Shape)> {
        let mut slot = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        let result = slot
            .take()
            .expect("an operation is applied once, right after it was made");
        let (storage, layout) = result.storage_and_layout();
        let storage = pick(&storage).expect("a result lives on the device of its inputs");
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        self.take(|storage| match storage {
            Storage::Cpu(storage) => Some(storage),
            _ => None,
        })
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        self.take(|storage| match storage {
            Storage::Cuda(storage) => Some(storage),
            _ => None,
        })
    }

    fn metal(&self) -> Result<(MetalStorage, Shape)> {
        self.take(|storage| match storage {
            Storage::Metal(storage) => Some(storage),
            _ => None,
        })
    }
}

const NAME: &str = "a result with its own backward pass";

impl<F: Fn(&Tensor, Given<'_>) -> Result<Option<Tensor>>> CustomOp1 for Node<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(&self, input: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(
            &input.detach(),
            Given {
                result: &result.detach(),
                gradient,
            },
        )
    }
}

impl<F: Fn([&Tensor; 3], Given<'_>) -> Result<[Option<Tensor>; 3]>> CustomOp3 for Node<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        third: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let inputs = [&first.detach(), &second.detach(), &third.detach()];
        let [first, second, third] = (self.backward)(
            inputs,
            Given {
                result: &result.detach(),
                gradient,
            },
        )?;
        Ok((first, second, third))
    }
}

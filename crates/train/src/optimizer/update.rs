//! One parameter's AdamW update: three passes over memory, nothing allocated, on f32 in the
//! processor's memory; the same formulas as tensor operations elsewhere.

use candle_core::{CpuStorage, DType, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::Adam;

/// Elements that one thread works on at a time; shorter tensors stay on one thread.
const CHUNK: usize = 1 << 16;

/// All numbers of one update of one parameter.
pub(super) struct Update {
    pub(super) adam: Adam,
    /// This step, counted from 1.
    pub(super) step: u32,
    pub(super) gradient_factor: f64,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
}

impl Update {
    /// `moments` are the running means of the gradient and of its square; both change in place.
    pub(super) fn apply(
        &self,
        parameter: &Var,
        gradient: &Tensor,
        moments: [&Var; 2],
    ) -> Result<()> {
        let [exp_avg, exp_avg_sq] = moments;
        let in_place = parameter.device().is_cpu()
            && parameter.dtype() == DType::F32
            && [parameter, exp_avg, exp_avg_sq]
                .map(Var::as_tensor)
                .into_iter()
                .chain([gradient])
                .all(Tensor::is_contiguous);
        if !in_place {
            return self.apply_as_tensors(parameter, gradient, moments);
        }
        let scale = self.gradient_factor as f32;
        exp_avg.inplace_op2(
            gradient,
            &Mean {
                scale,
                weight: (1.0 - self.adam.beta1) as f32,
            },
        )?;
        exp_avg_sq.inplace_op2(
            gradient,
            &SquareMean {
                scale,
                beta: self.adam.beta2 as f32,
                weight: (1.0 - self.adam.beta2) as f32,
            },
        )?;
        parameter.inplace_op3(
            exp_avg,
            exp_avg_sq,
            &Descend {
                keep: (1.0 - self.learning_rate * self.weight_decay) as f32,
                step_size: self.step_size() as f32,
                root_correction: self.root_correction() as f32,
                epsilon: self.adam.epsilon as f32,
            },
        )
    }

    fn step_size(&self) -> f64 {
        self.learning_rate / (1.0 - self.adam.beta1.powf(f64::from(self.step)))
    }

    fn root_correction(&self) -> f64 {
        (1.0 - self.adam.beta2.powf(f64::from(self.step))).sqrt()
    }

    fn apply_as_tensors(
        &self,
        parameter: &Var,
        gradient: &Tensor,
        moments: [&Var; 2],
    ) -> Result<()> {
        let Adam {
            beta1,
            beta2,
            epsilon,
        } = self.adam;
        let [mean, square_mean] = moments.map(Var::as_tensor);
        let gradient = (gradient * self.gradient_factor)?;
        let mean = (mean + ((&gradient - mean)? * (1.0 - beta1))?)?;
        let square_mean = ((square_mean * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
        let root = ((square_mean.sqrt()? / self.root_correction())? + epsilon)?;
        let kept =
            (parameter.to_dtype(DType::F32)? * (1.0 - self.learning_rate * self.weight_decay))?;
        let moved = (kept - ((&mean / root)? * self.step_size())?)?;
        parameter.set(&moved.to_dtype(parameter.dtype())?)?;
        moments[0].set(&mean)?;
        moments[1].set(&square_mean)
    }
}

/// `m ← m + weight · (scale · g − m)`
struct Mean {
    scale: f32,
    weight: f32,
}

impl InplaceOp2 for Mean {
    fn name(&self) -> &'static str {
        "adamw mean"
    }

    fn cpu_fwd(&self, m: &mut CpuStorage, lm: &Layout, g: &CpuStorage, lg: &Layout) -> Result<()> {
        let Self { scale, weight } = *self;
        let (m, g) = (slice_mut(m, lm)?, slice(g, lg)?);
        m.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .for_each(|(m, g)| {
                for (m, g) in m.iter_mut().zip(g) {
                    *m += weight * (g * scale - *m);
                }
            });
        Ok(())
    }
}

/// `v ← beta · v + weight · (scale · g)²`
struct SquareMean {
    scale: f32,
    beta: f32,
    weight: f32,
}

impl InplaceOp2 for SquareMean {
    fn name(&self) -> &'static str {
        "adamw square mean"
    }

    fn cpu_fwd(&self, v: &mut CpuStorage, lv: &Layout, g: &CpuStorage, lg: &Layout) -> Result<()> {
        let Self {
            scale,
            beta,
            weight,
        } = *self;
        let (v, g) = (slice_mut(v, lv)?, slice(g, lg)?);
        v.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .for_each(|(v, g)| {
                for (v, g) in v.iter_mut().zip(g) {
                    let g = g * scale;
                    *v = *v * beta + weight * (g * g);
                }
            });
        Ok(())
    }
}

/// `p ← keep · p − step_size · m / (√v / root_correction + epsilon)`
struct Descend {
    keep: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
}

impl InplaceOp3 for Descend {
    fn name(&self) -> &'static str {
        "adamw step"
    }

    fn cpu_fwd(
        &self,
        p: &mut CpuStorage,
        lp: &Layout,
        m: &CpuStorage,
        lm: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<()> {
        let Self {
            keep,
            step_size,
            root_correction,
            epsilon,
        } = *self;
        let (p, m, v) = (slice_mut(p, lp)?, slice(m, lm)?, slice(v, lv)?);
        let chunks = p
            .par_chunks_mut(CHUNK)
            .zip(m.par_chunks(CHUNK))
            .zip(v.par_chunks(CHUNK));
        chunks.for_each(|((p, m), v)| {
            for ((p, m), v) in p.iter_mut().zip(m).zip(v) {
                *p = *p * keep - step_size * (m / (v.sqrt() / root_correction + epsilon));
            }
        });
        Ok(())
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!(
            "adamw needs contiguous f32, not {:?} {layout:?}",
            storage_dtype(storage)
        ),
    }
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        (storage, _) => bail!(
            "adamw needs contiguous f32, not {:?} {layout:?}",
            storage_dtype(storage)
        ),
    }
}

fn storage_dtype(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn tensor_operations_and_slices_agree() {
        let new = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let gradient = new(&[0.5, -2.0, 1e-4]);
        let states: Vec<_> = [false, true]
            .into_iter()
            .map(|as_tensors| {
                let parameter = Var::from_tensor(&new(&[1.0, -1.0, 3.0])).unwrap();
                let moments = [new(&[0.1, 0.2, -0.3]), new(&[0.01, 0.02, 0.03])]
                    .map(|moment| Var::from_tensor(&moment).unwrap());
                let update = Update {
                    adam: Adam::default(),
                    step: 3,
                    gradient_factor: 0.5,
                    learning_rate: 0.1,
                    weight_decay: 0.2,
                };
                let [m, v] = &moments;
                match as_tensors {
                    true => update
                        .apply_as_tensors(&parameter, &gradient, [m, v])
                        .unwrap(),
                    false => update.apply(&parameter, &gradient, [m, v]).unwrap(),
                }
                [values(&parameter), values(m), values(v)].concat()
            })
            .collect();
        for (a, b) in states[0].iter().zip(&states[1]) {
            assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} {b}");
        }
    }
}

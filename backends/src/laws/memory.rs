//! Laws of transfers and copies.

use ark_bn254::Fr;
use ark_ff::Zero;
use zkloom_kernels::shape::MAX_LOG_SIZE;

use super::sample::group_sum;
use super::{Ground, Outcome, done, refuses_length, same};
use crate::backend::{Backend, DeviceVector};
use crate::error::BackendError;

pub(super) fn capabilities<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let found = ground.backend.capabilities();
    if found.name.is_empty() || found.description.is_empty() {
        return Err(format!("no name or description: {found:?}"));
    }
    if found.max_log_size > MAX_LOG_SIZE {
        return Err(format!("transforms above 2^{MAX_LOG_SIZE} do not exist: {found:?}"));
    }
    Ok(())
}

pub(super) fn meter<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let meter = ground.backend.meter();
    let before = (meter.uploaded_bytes(), meter.downloaded_bytes(), meter.launches());
    let values = ground.sampler().elements(8);
    let mut vector = done(ground.backend.upload(&values), "upload")?;
    done(ground.backend.download(&vector), "download")?;
    done(ground.backend.batch_invert(&mut vector), "batch_invert")?;
    let after = (meter.uploaded_bytes(), meter.downloaded_bytes(), meter.launches());
    let bytes = size_of_val(values.as_slice()) as u64;
    if after.0 < before.0 + bytes || after.1 < before.1 + bytes || after.2 <= before.2 {
        return Err(format!(
            "from {before:?} to {after:?} over a transfer of {bytes} bytes each way and a launch"
        ));
    }
    Ok(())
}

pub(super) fn upload<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.vectors(size) {
            let input = format_args!("{size} entries, {name}").to_string();
            let vector = done(ground.backend.upload(&values), &input)?;
            if vector.len() != size || vector.is_empty() != (size == 0) {
                return Err(format!("{input}: length {}", vector.len()));
            }
            same(&done(ground.backend.download(&vector), &input)?, &values, &input)?;
        }
    }
    Ok(())
}

pub(super) fn download<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let values = sampler.elements(size);
        let vector = done(ground.backend.upload(&values), size)?;
        for pass in ["first", "second"] {
            let input = format!("{size} entries, {pass} download");
            same(&done(ground.backend.download(&vector), &input)?, &values, &input)?;
        }
    }
    Ok(())
}

pub(super) fn zeros<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    for size in ground.sizes() {
        let vector = done(ground.backend.zeros(size), size)?;
        same(&done(ground.backend.download(&vector), size)?, &vec![Fr::zero(); size], size)?;
    }
    match ground.backend.zeros(usize::MAX / 64) {
        Err(BackendError::OutOfMemory { .. } | BackendError::Length { .. }) => Ok(()),
        Err(error) => Err(format!("more than the address space: unsuitable error: {error}")),
        Ok(_) => Err("more than the address space: accepted".into()),
    }
}

pub(super) fn upload_integers<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.integers(size) {
            let input = format!("{size} integers, {name}");
            let vector = done(ground.backend.upload_integers(&values), &input)?;
            if vector.len() != size || vector.is_empty() != (size == 0) {
                return Err(format!("{input}: length {}", vector.len()));
            }
            check_widened(ground, &vector, &values, &input)?;
        }
    }
    Ok(())
}

pub(super) fn widen<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.integers(size) {
            let input = format!("{size} integers, {name}");
            let vector = done(ground.backend.upload_integers(&values), &input)?;
            check_widened(ground, &vector, &values, &input)?;
        }
    }
    Ok(())
}

fn check_widened<B: Backend>(
    ground: &Ground<'_, B>,
    vector: &B::Integers,
    values: &[i64],
    input: &str,
) -> Outcome {
    let widened = done(ground.backend.widen(vector), input)?;
    let expected: Vec<Fr> = values.iter().map(|&value| Fr::from(value)).collect();
    same(&done(ground.backend.download(&widened), input)?, &expected, input)
}

pub(super) fn upload_bases<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, points, logs) in sampler.points(size) {
            let input = format!("{size} bases, {name}");
            let bases = done(ground.backend.upload_bases(&points), &input)?;
            if bases.len() != size || bases.is_empty() != (size == 0) {
                return Err(format!("{input}: length {}", bases.len()));
            }
            let scalars = sampler.elements(size);
            let vector = done(ground.backend.upload(&scalars), &input)?;
            let found = done(ground.backend.msm(&bases, &[&vector]), &input)?;
            same(&found, &[group_sum(&logs, scalars.into_iter())], &input)?;
        }
    }
    Ok(())
}

pub(super) fn read<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let values = sampler.elements(size);
        let vector = done(ground.backend.upload(&values), size)?;
        let middle = size / 2;
        for (start, len) in [(0, size), (0, 0), (size, 0), (0, middle), (middle, size - middle)] {
            let input = format!("{len} from {start} of {size}");
            let found = done(ground.backend.read(&vector, start, len), &input)?;
            same(&found, &values[start..start + len], &input)?;
        }
        for (start, len) in [(0, size + 1), (size + 1, 0), (size, 1), (1, usize::MAX), (usize::MAX, 1)] {
            let result = ground.backend.read(&vector, start, len);
            refuses_length(result, format_args!("{len} from {start} of {size}"))?;
        }
    }
    Ok(())
}

pub(super) fn write<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let mut values = sampler.elements(size);
        let mut vector = done(ground.backend.upload(&values), size)?;
        let middle = size / 2;
        for (start, len) in [(0, 0), (size, 0), (middle, size - middle), (0, middle), (0, size)] {
            let input = format!("{len} at {start} of {size}");
            let new = sampler.elements(len);
            values[start..start + len].copy_from_slice(&new);
            done(ground.backend.write(&mut vector, start, &new), &input)?;
            same(&done(ground.backend.download(&vector), &input)?, &values, &input)?;
        }
        for (start, len) in [(0, size + 1), (size + 1, 0), (size, 1), (usize::MAX, 1)] {
            let new = sampler.elements(len);
            let input = format!("{len} at {start} of {size}");
            refuses_length(ground.backend.write(&mut vector, start, &new), &input)?;
            same(&done(ground.backend.download(&vector), &input)?, &values, format_args!("refused {input}"))?;
        }
    }
    Ok(())
}

pub(super) fn slice<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        let values = sampler.elements(size);
        let vector = done(ground.backend.upload(&values), size)?;
        let cases = [(0, size), (0, 0), (size, 2), (size / 2, size), (1, 3), (size + 5, 4), (usize::MAX, 2)];
        for (start, len) in cases {
            let input = format!("{len} from {start} of {size}");
            let entry = |index: usize| start.checked_add(index).and_then(|at| values.get(at)).copied();
            let expected: Vec<Fr> = (0..len).map(|index| entry(index).unwrap_or_default()).collect();
            let part = done(ground.backend.slice(&vector, start, len), &input)?;
            same(&done(ground.backend.download(&part), &input)?, &expected, &input)?;
        }
    }
    Ok(())
}

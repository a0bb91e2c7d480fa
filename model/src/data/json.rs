//! JSON: nested lists of numbers, or an object that holds them with labels.

use serde_json::Value;

use super::DataError;
use super::numpy::{Array, INPUT_NAMES, LABEL_NAMES};

pub(super) fn parse(place: &str, bytes: &[u8]) -> Result<(Array, Option<Vec<i64>>), DataError> {
    let malformed =
        |reason: String| DataError::Malformed { place: place.to_string(), format: "JSON", reason };
    let document: Value = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let Value::Object(object) = &document else {
        return Ok((array(place, &document)?, None));
    };
    let inputs = INPUT_NAMES.iter().find_map(|name| object.get(*name));
    let found = || object.keys().cloned().collect();
    let inputs = inputs.ok_or_else(|| DataError::NoInputs { place: place.to_string(), found: found() })?;
    let labels = LABEL_NAMES.iter().find_map(|name| object.get(*name));
    let labels = labels.map(|labels| {
        let items = labels.as_array().ok_or_else(|| malformed("the labels are not a list".into()))?;
        let whole =
            |item: &Value| item.as_i64().ok_or_else(|| malformed(format!("label {item} is not an integer")));
        items.iter().map(whole).collect()
    });
    Ok((array(place, inputs)?, labels.transpose()?))
}

fn array(place: &str, value: &Value) -> Result<Array, DataError> {
    let mut shape = Vec::new();
    let mut level = value;
    while let Value::Array(items) = level {
        shape.push(items.len());
        match items.first() {
            Some(first) => level = first,
            None => break,
        }
    }
    let mut values = Vec::new();
    flatten(place, value, &shape, &mut Vec::new(), &mut values)?;
    Ok((shape, values))
}

fn flatten(
    place: &str,
    value: &Value,
    shape: &[usize],
    index: &mut Vec<usize>,
    values: &mut Vec<f32>,
) -> Result<(), DataError> {
    let ragged =
        |reason: String| DataError::Ragged { place: place.to_string(), index: index.clone(), reason };
    match (value, shape.split_first()) {
        (Value::Number(number), None) => {
            values.push(number.as_f64().unwrap_or(f64::NAN) as f32);
            Ok(())
        }
        (Value::Array(items), Some((&length, rest))) => {
            if items.len() != length {
                return Err(ragged(format!("has {} items where the first has {length}", items.len())));
            }
            for (position, item) in items.iter().enumerate() {
                index.push(position);
                flatten(place, item, rest, index, values)?;
                index.pop();
            }
            Ok(())
        }
        (Value::Array(_), None) => Err(ragged("is nested deeper than the first".into())),
        (Value::Number(_), Some(_)) => Err(ragged("is a number where the first is a list".into())),
        (other, _) => {
            let kind = match other {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::String(_) => "string",
                _ => "object",
            };
            Err(DataError::ElementType { place: format!("{place} at {index:?}"), found: kind.into() })
        }
    }
}

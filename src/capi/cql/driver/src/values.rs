//! Bind values that are in CQL's wire format already.

use std::fmt;

use scylla::errors::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

/// For every value a 4-byte big-endian length (negative = null) and the bytes. The memory is the
/// caller's, who keeps it until its callback is called.
#[derive(Clone, Copy)]
pub struct RawValues(pub &'static [u8]);

#[derive(Debug)]
struct WrongValues(String);

impl fmt::Display for WrongValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongValues {}

fn wrong(message: String) -> SerializationError {
    SerializationError::new(WrongValues(message))
}

impl SerializeRow for RawValues {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter,
    ) -> Result<(), SerializationError> {
        let mut rest = self.0;
        let mut count = 0;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let cell = writer.make_cell_writer();
            count += 1;
            rest = match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => {
                    cell.set_null();
                    tail
                }
                Ok(length) if length <= tail.len() => {
                    cell.set_value(&tail[..length])
                        .map_err(|_| wrong("a value is too long".to_string()))?;
                    &tail[length..]
                }
                Ok(_) => return Err(wrong("the bytes of the values are cut off".to_string())),
            };
        }
        let wanted = context.columns().len();
        if count != wanted {
            return Err(wrong(format!(
                "the statement takes {wanted} values, {count} are given"
            )));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

//! The bytes of TensorBoard's event files: TFRecord around the protobuf messages `Event`, `Summary`,
//! `SessionLog` and `TensorProto`, of which only the fields that are used here are known.

/// A record: the length, its checksum, the data, its checksum (TFRecord).
pub(super) fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked_crc32c(&length).to_le_bytes(),
        data,
        &masked_crc32c(data).to_le_bytes(),
    ]
    .concat()
}

/// The event that a file begins with.
pub(super) fn file_version(seconds: f64) -> Vec<u8> {
    let mut event = Message::event(seconds, 0);
    event.bytes(3, b"brain.Event:2");
    event.0
}

/// A session begins: whoever reads along forgets what came before.
pub(super) fn session_start(seconds: f64) -> Vec<u8> {
    const START: u64 = 1;
    let mut log = Message::default();
    log.number(1, START);
    let mut event = Message::event(seconds, 0);
    event.bytes(7, &log.0);
    event.0
}

/// Numbers of a step by their tags.
pub(super) fn scalars(seconds: f64, step: usize, scalars: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, scalar) in scalars {
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.float(2, *scalar);
        summary.bytes(1, &value.0);
    }
    let mut event = Message::event(seconds, step);
    event.bytes(5, &summary.0);
    event.0
}

/// A text of a step, as TensorBoard's text plugin reads it: Markdown in a tensor of one string.
pub(super) fn text(seconds: f64, step: usize, tag: &str, text: &str) -> Vec<u8> {
    const DT_STRING: u64 = 7;
    let mut tensor = Message::default();
    tensor.number(1, DT_STRING);
    let (mut dimension, mut shape) = (Message::default(), Message::default());
    dimension.number(1, 1);
    shape.bytes(2, &dimension.0);
    tensor.bytes(2, &shape.0);
    tensor.bytes(8, text.as_bytes());
    let (mut plugin, mut metadata) = (Message::default(), Message::default());
    plugin.bytes(1, b"text");
    metadata.bytes(1, &plugin.0);
    let (mut value, mut summary) = (Message::default(), Message::default());
    value.bytes(1, tag.as_bytes());
    value.bytes(8, &tensor.0);
    value.bytes(9, &metadata.0);
    summary.bytes(1, &value.0);
    let mut event = Message::event(seconds, step);
    event.bytes(5, &summary.0);
    event.0
}

/// A protobuf message; fields are added by rising number, as every writer does.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn event(seconds: f64, step: usize) -> Self {
        let mut event = Self::default();
        event.key(1, 1);
        event.0.extend(seconds.to_le_bytes());
        // A number that is 0 is left out.
        if step > 0 {
            event.number(2, step as u64);
        }
        event
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    fn float(&mut self, field: u64, number: f32) {
        self.key(field, 5);
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// CRC-32C (Castagnoli), turned and shifted as TFRecord wants it.
fn masked_crc32c(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}

/// Of each byte, by the reversed polynomial.
static TABLE: [u32; 256] = {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}

//! Swagger UI, out of the archive of its source that a crate carries. The archive is read while this is compiled, so that
//! only the files named here are in the binary, each as the gzip file that browsers take.
//!
//! An archive's entry (PKWARE's APPNOTE.TXT) and a gzip file (RFC 1952) hold the same deflated data, with the same checksum.
#![allow(clippy::panic, reason = "a panic at compile time is a compile error")]

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

const SCRIPT: Entry = Entry::find(b"swagger-ui-5.32.6/dist/swagger-ui-bundle.js");
const STYLE: Entry = Entry::find(b"swagger-ui-5.32.6/dist/swagger-ui.css");

pub(super) static SCRIPT_GZIP: [u8; SCRIPT.gzip_length()] = SCRIPT.gzip();
pub(super) static STYLE_GZIP: [u8; STYLE.gzip_length()] = STYLE.gzip();

/// Deflate, no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Checksum and length of what is inflated.
const TRAILER: usize = 8;

/// A deflated file of the archive.
struct Entry {
    start: usize,
    length: usize,
    /// CRC-32 and length of the inflated file, as both formats write them.
    trailer: [u8; TRAILER],
}

impl Entry {
    /// Returns the file of this name. Fails the compilation if there is none.
    const fn find(name: &[u8]) -> Self {
        // The end of the central directory, before the archive's comment.
        let mut end = ARCHIVE.len() - 22;
        while integer(end, 4) != 0x0605_4b50 {
            end -= 1;
        }
        let mut at = integer(end + 16, 4);
        while integer(at, 4) == 0x0201_4b50 {
            let name_length = integer(at + 28, 2);
            if is_at(at + 46, name_length, name) {
                assert!(integer(at + 10, 2) == 8, "the file is deflated");
                let local = integer(at + 42, 4);
                let crc: [u8; 4] = bytes(at + 16);
                let length: [u8; 4] = bytes(at + 24);
                return Self {
                    start: local + 30 + integer(local + 26, 2) + integer(local + 28, 2),
                    length: integer(at + 20, 4),
                    trailer: [crc[0], crc[1], crc[2], crc[3], length[0], length[1], length[2], length[3]],
                };
            }
            at += 46 + name_length + integer(at + 30, 2) + integer(at + 32, 2);
        }
        panic!("the archive has no such file");
    }

    const fn gzip_length(&self) -> usize {
        HEADER.len() + self.length + TRAILER
    }

    /// The file as gzip; `N` is its [`Self::gzip_length`].
    const fn gzip<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        let (head, rest) = out.split_at_mut(HEADER.len());
        head.copy_from_slice(&HEADER);
        let (data, tail) = rest.split_at_mut(self.length);
        data.copy_from_slice(ARCHIVE.split_at(self.start).1.split_at(self.length).0);
        tail.copy_from_slice(&self.trailer);
        out
    }
}

const fn bytes<const N: usize>(at: usize) -> [u8; N] {
    match ARCHIVE.split_at(at).1.first_chunk() {
        Some(bytes) => *bytes,
        None => panic!("the archive is cut off"),
    }
}

/// A little-endian number of so many bytes.
const fn integer(at: usize, size: usize) -> usize {
    let (mut value, mut index) = (0, size);
    while index > 0 {
        index -= 1;
        value = value << 8 | ARCHIVE[at + index] as usize;
    }
    value
}

const fn is_at(at: usize, length: usize, name: &[u8]) -> bool {
    if length != name.len() {
        return false;
    }
    let mut index = 0;
    while index < length {
        if ARCHIVE[at + index] != name[index] {
            return false;
        }
        index += 1;
    }
    true
}

//! The ciphers of existing keys.

use salsa20::{
    SalsaCore, XSalsa20,
    cipher::{
        Array, BlockCipherDecrypt, KeyInit, KeyIvInit, StreamCipher, StreamCipherCore,
        StreamCipherSeekCore, consts::U10,
    },
    hsalsa,
};
use xtea::Xtea;

/// Bytes of an existing key.
pub(super) const BYTES: usize = 24;

/// A cipher with its key.
#[derive(Clone)]
pub(super) enum Cipher {
    /// XTEA, block by block, under the salt.
    V1([u8; 16]),
    /// XSalsa20 with the same nonce for every key.
    V2([u8; 32], [u8; 24]),
    /// Salsa20 with a nonce that the salt changes.
    V3([u8; 32], [u8; 16]),
}

impl Cipher {
    pub(super) fn decrypt(&self, mut bytes: [u8; BYTES]) -> [u8; BYTES] {
        match self {
            Self::V1(key) => {
                let mut key = *key;
                // The cipher is written for words with the lowest byte first; these have the highest first.
                turn_words(&mut key);
                turn_words(&mut bytes);
                let xtea = Xtea::new(&key.into());
                let (blocks, _) = bytes.as_chunks_mut::<8>();
                for block in blocks {
                    xtea.decrypt_block(block.into());
                }
                turn_words(&mut bytes);
                salt(&mut bytes);
                bytes
            }
            Self::V2(key, nonce) => {
                XSalsa20::new(&(*key).into(), &(*nonce).into()).apply_keystream(&mut bytes);
                bytes
            }
            Self::V3(key, nonce) => {
                let mut nonce = *nonce;
                for (index, byte) in nonce.iter_mut().enumerate() {
                    *byte ^= bytes[index % 2];
                }
                let key = hsalsa::<U10>(&(*key).into(), &nonce.into());
                let (nonce, counter) = nonce.split_at(8);
                let mut core =
                    SalsaCore::<U10>::new(&key, &Array::try_from(nonce).unwrap_or_default());
                core.set_block_pos(u64::from_le_bytes(counter.try_into().unwrap_or_default()));
                let mut stream = [Array::default()];
                core.write_keystream_blocks(&mut stream);
                for (byte, pad) in bytes[2..].iter_mut().zip(&stream[0]) {
                    *byte ^= pad;
                }
                bytes
            }
        }
    }
}

/// The first two bytes, over all others in turn.
fn salt(bytes: &mut [u8; BYTES]) {
    let salt = [bytes[0], bytes[1]];
    for (index, byte) in bytes[2..].iter_mut().enumerate() {
        *byte ^= salt[index % 2];
    }
}

fn turn_words(bytes: &mut [u8]) {
    let (words, _) = bytes.as_chunks_mut::<4>();
    words.iter_mut().for_each(|word| word.reverse());
}

//! Builds ClientHellos as clients send them, and as nobody should.

/// What goes into a ClientHello.
#[derive(Clone, Default)]
pub(crate) struct Hello {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) versions: Vec<u16>,
    pub(crate) ech: bool,
    pub(crate) grease: bool,
    /// Bytes of key share before the name, as in post-quantum hellos.
    pub(crate) key_share: usize,
    pub(crate) without_extensions: bool,
}

impl Hello {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    /// What a browser sends today: about 1.8 kB.
    pub(crate) fn browser(name: &str) -> Self {
        Self {
            alpn: vec![b"h2".into(), b"http/1.1".into()],
            versions: vec![0x0304, 0x0303],
            grease: true,
            key_share: 1_216,
            ..Self::named(name)
        }
    }

    /// The handshake message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend_from_slice(&[0x5a; 32]);
        body.extend(vec8(&[7; 32]));
        let ciphers: &[u8] = if self.grease {
            &[0x1a, 0x1a, 0x13, 1, 0x13, 2]
        } else {
            &[0x13, 1]
        };
        body.extend(vec16(ciphers));
        body.extend(vec8(&[0]));
        if !self.without_extensions {
            body.extend(vec16(&self.extensions()));
        }
        let mut message = vec![1];
        message.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    fn extensions(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let mut add = |kind: u16, body: &[u8]| {
            list.extend_from_slice(&kind.to_be_bytes());
            list.extend(vec16(body));
        };
        if self.grease {
            add(0x2a2a, &[]);
        }
        if self.key_share > 0 {
            add(51, &vec16(&vec![0x77; self.key_share]));
        }
        if let Some(name) = &self.name {
            add(0, &vec16(&[&[0], vec16(name).as_slice()].concat()));
        }
        if !self.alpn.is_empty() || self.grease {
            let grease: &[u8] = if self.grease { b"JJ" } else { b"" };
            let mut names = if self.grease {
                vec8(grease)
            } else {
                Vec::new()
            };
            names.extend(self.alpn.iter().flat_map(|name| vec8(name)));
            add(16, &vec16(&names));
        }
        if !self.versions.is_empty() {
            let mut versions = if self.grease {
                vec![0x3a, 0x3a]
            } else {
                Vec::new()
            };
            versions.extend(
                self.versions
                    .iter()
                    .flat_map(|version| version.to_be_bytes()),
            );
            add(43, &vec8(&versions));
        }
        if self.ech {
            add(0xfe0d, &[0; 180]);
        }
        if self.grease {
            add(0x8a8a, &[0]);
        }
        list
    }

    /// The message in one record, or more if it is too long for one.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.in_records_of(16_384)
    }

    /// The message in records of at most `size` bytes.
    pub(crate) fn in_records_of(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(record).collect()
    }
}

/// A handshake record.
pub(crate) fn record(fragment: &[u8]) -> Vec<u8> {
    [&[22, 3, 1], vec16(fragment).as_slice()].concat()
}

pub(crate) fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(crate) fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

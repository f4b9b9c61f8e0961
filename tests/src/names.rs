//! A name server of the test's own: it answers as the test says, another way each time if need be.
//!
//! It stands at port 53 of loopback, so it can begin only where that is the test's: in a network of its own.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

/// What is asked for of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its IPv4 addresses.
    A,
    /// Its IPv6 addresses.
    Aaaa,
}

/// What is answered. Addresses of the other kind are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An address.
    At(IpAddr),
    /// Another name, which is followed at once, as a resolver does for its clients.
    Alias(String),
}

/// Answers the nth question of its kind, the first of which is number 0.
type Answering = Box<dyn FnMut(Kind, usize) -> Vec<Record> + Send>;

struct Known {
    answer: Answering,
    asked: [usize; 2],
}

/// The server. It ends with the process; nothing else lives in its network then.
#[derive(Clone, Default)]
pub struct Names {
    known: Arc<Mutex<HashMap<String, Known>>>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Names")
    }
}

impl Names {
    /// Begins to answer; names that it was told nothing of are unknown.
    ///
    /// # Panics
    /// Where the port is taken.
    pub fn start() -> Self {
        let names = Self::default();
        let serving = names.clone();
        let socket = UdpSocket::bind("127.0.0.1:53").expect("the port of a network of its own");
        thread::spawn(move || {
            let mut bytes = [0; 1232];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                if let Some(answer) = serving.answer(&bytes[..length]) {
                    // Whoever asked may be gone.
                    drop(socket.send_to(&answer, from));
                }
            }
        });
        names
    }

    /// Answers for this name so from now on.
    pub fn on(&self, name: &str, answer: impl FnMut(Kind, usize) -> Vec<Record> + Send + 'static) {
        let known = Known { answer: Box::new(answer), asked: [0; 2] };
        self.known.lock().expect("no answer panics").insert(name.to_ascii_lowercase(), known);
    }

    /// This name has these addresses, always.
    pub fn at(&self, name: &str, addresses: &[&str]) {
        let records: Vec<_> =
            addresses.iter().map(|address| Record::At(address.parse().expect("an address"))).collect();
        self.on(name, move |_, _| records.clone());
    }

    /// How often this name's addresses of a kind were asked for.
    pub fn asked(&self, name: &str, kind: Kind) -> usize {
        let known = self.known.lock().expect("no answer panics");
        known.get(name).map_or(0, |known| known.asked[kind as usize])
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let packet = Packet::parse(question).ok()?;
        let asked = packet.questions.first()?.clone();
        let mut reply = Packet::new_reply(packet.id());
        reply.set_flags(PacketFlag::RECURSION_AVAILABLE | PacketFlag::RECURSION_DESIRED);
        let kind = match asked.qtype {
            QTYPE::TYPE(TYPE::A) => Some(Kind::A),
            QTYPE::TYPE(TYPE::AAAA) => Some(Kind::Aaaa),
            _ => None,
        };
        let mut found = Vec::new();
        if let Some(kind) = kind
            && !self.follow(&asked.qname.to_string().to_ascii_lowercase(), kind, &mut found, 0)
        {
            *reply.rcode_mut() = RCODE::NameError;
        }
        reply.answers = found;
        reply.questions.push(asked);
        reply.build_bytes_vec().ok()
    }

    /// Whether the name is known.
    fn follow(&self, name: &str, kind: Kind, found: &mut Vec<ResourceRecord<'static>>, depth: usize) -> bool {
        const DEEPEST: usize = 16;
        let records = {
            let mut all = self.known.lock().expect("no answer panics");
            let Some(known) = all.get_mut(name) else { return false };
            let nth = known.asked[kind as usize];
            known.asked[kind as usize] += 1;
            (known.answer)(kind, nth)
        };
        let record = |data| {
            let name = Name::new(name).expect("a name that was asked for").into_owned();
            // Nobody may keep it.
            ResourceRecord::new(name, CLASS::IN, 0, data)
        };
        for answer in records {
            match (answer, kind) {
                (Record::At(IpAddr::V4(address)), Kind::A) => {
                    found.push(record(RData::A(A { address: address.to_bits() })));
                }
                (Record::At(IpAddr::V6(address)), Kind::Aaaa) => {
                    found.push(record(RData::AAAA(AAAA { address: address.to_bits() })));
                }
                (Record::At(_), _) => {}
                (Record::Alias(other), _) => {
                    let alias = Name::new(&other).expect("a name").into_owned();
                    found.push(record(RData::CNAME(CNAME(alias))));
                    if depth < DEEPEST {
                        self.follow(&other.to_ascii_lowercase(), kind, found, depth + 1);
                    }
                }
            }
        }
        true
    }
}

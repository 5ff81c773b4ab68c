//! A flattened device tree (Devicetree Specification v0.4, chapter 5) as a tree in memory: to check, read and
//! amend one that the user gives.

use vm_fdt::{FdtReserveEntry, FdtWriter};

use crate::loader::{LoadError, Part};

const MAGIC: u32 = 0xd00d_feed;
const HEADER: usize = 40;
/// Layout version that this code understands (17; every tool has written it since 2007).
const VERSION: u32 = 17;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;
/// Deepest nesting accepted, far beyond real trees.
const MAX_DEPTH: usize = 64;

/// A node: name (with unit address), properties, children, each in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name with unit address; empty for the root.
    pub name: String,
    /// Properties.
    pub props: Vec<(String, Vec<u8>)>,
    /// Children.
    pub children: Vec<Node>,
}

impl Node {
    /// Value of a property.
    pub fn prop(&self, name: &str) -> Option<&[u8]> {
        self.props.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    /// Adds or replaces a property.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        match self.props.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) => *v = value.to_vec(),
            None => self.props.push((String::from(name), value.to_vec())),
        }
    }

    /// Removes a property.
    pub fn remove(&mut self, name: &str) {
        self.props.retain(|(n, _)| n != name);
    }

    /// The child of that exact name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The child of that exact name, made if missing.
    pub fn child_mut(&mut self, name: &str) -> &mut Node {
        let at = self.children.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.children.push(Node { name: String::from(name), ..Node::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }
}

/// A device tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The root node.
    pub root: Node,
    /// Reserved memory: address and size.
    pub reserved: Vec<(u64, u64)>,
    /// Physical id of the boot CPU.
    pub boot_cpu: u32,
}

fn malformed(what: &'static str, offset: usize, problem: impl Into<String>) -> LoadError {
    LoadError::Malformed { part: Part::Dtb, what, offset: offset as u64, problem: problem.into() }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}

impl Tree {
    /// Reads a blob, checking magic, sizes and structure.
    pub fn parse(bytes: &[u8]) -> Result<Tree, LoadError> {
        let have = bytes.len() as u64;
        let truncated =
            |what, need: usize| LoadError::Truncated { part: Part::Dtb, what, need: need as u64, have };
        if bytes.is_empty() {
            return Err(LoadError::Empty(Part::Dtb));
        }
        if bytes.starts_with(b"/dts-v1/") {
            return Err(LoadError::Foreign {
                part: Part::Dtb,
                found: String::from("device tree source"),
                advice: "compile it with dtc -O dtb",
            });
        }
        if bytes.len() >= 4 && be32(bytes, 0) != Some(MAGIC) {
            return Err(LoadError::Unknown {
                part: Part::Dtb,
                start: bytes[..bytes.len().min(8)].to_vec(),
                expected: "a flattened device tree (magic d0 0d fe ed)",
            });
        }
        let field = |n: usize| be32(bytes, 4 * n).ok_or(truncated("the header", HEADER));
        let total = field(1)? as usize;
        let (structs, strings, reserve) = (field(2)? as usize, field(3)? as usize, field(4)? as usize);
        let (version, compatible, boot_cpu) = (field(5)?, field(6)?, field(7)?);
        let (strings_size, structs_size) = (field(8)? as usize, field(9)? as usize);
        if compatible > VERSION || version < VERSION - 1 {
            return Err(malformed("the version", 20, format!("{version}, this loader knows 17")));
        }
        let Some(bytes) = bytes.get(..total) else {
            return Err(truncated("the blob", total));
        };
        let block = |what, at: usize, size: usize| {
            let end = at.checked_add(size).filter(|&end| at >= HEADER && end <= total);
            match end {
                Some(end) => Ok(&bytes[at..end]),
                None => Err(malformed(what, at, format!("{size} bytes reach outside the blob of {total}"))),
            }
        };
        let strings = block("the strings block", strings, strings_size)?;
        // Version 16 had no structure size; the block then ends where the blob does.
        let structs_size = if version == VERSION { structs_size } else { total.saturating_sub(structs) };
        let mut parser = Parser {
            block: block("the structure block", structs, structs_size)?,
            at: 0,
            base: structs,
            strings,
        };
        let mut reserved = Vec::new();
        let mut at = reserve;
        loop {
            let (Some(address), Some(size)) = (be64(bytes, at), be64(bytes, at.saturating_add(8))) else {
                return Err(malformed("the memory reservation block", at, "has no end"));
            };
            if (address, size) == (0, 0) {
                break;
            }
            reserved.push((address, size));
            at += 16;
        }
        Ok(Tree { root: parser.tree()?, reserved, boot_cpu })
    }

    /// Node at a path such as `/chosen`.
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('/').filter(|s| !s.is_empty()).try_fold(&self.root, |node, name| node.child(name))
    }

    /// Writes a blob.
    pub fn write(&self) -> Result<Vec<u8>, vm_fdt::Error> {
        let reserved = self
            .reserved
            .iter()
            .map(|&(address, size)| FdtReserveEntry::new(address, size))
            .collect::<Result<Vec<_>, _>>()?;
        let mut writer = FdtWriter::new_with_mem_reserv(&reserved)?;
        writer.set_boot_cpuid_phys(self.boot_cpu);
        write_node(&mut writer, &self.root)?;
        writer.finish()
    }
}

fn write_node(writer: &mut FdtWriter, node: &Node) -> Result<(), vm_fdt::Error> {
    let token = writer.begin_node(&node.name)?;
    for (name, value) in &node.props {
        writer.property(name, value)?;
    }
    for child in &node.children {
        write_node(writer, child)?;
    }
    writer.end_node(token)
}

struct Parser<'a> {
    block: &'a [u8],
    at: usize,
    /// Offset of the block in the file, for messages.
    base: usize,
    strings: &'a [u8],
}

impl Parser<'_> {
    fn error(&self, problem: impl Into<String>) -> LoadError {
        malformed("the structure block", self.base + self.at, problem)
    }

    fn token(&mut self) -> Result<u32, LoadError> {
        let token = be32(self.block, self.at).ok_or_else(|| self.error("ends in the middle"))?;
        self.at += 4;
        Ok(token)
    }

    fn string(&self, block: &[u8], at: usize) -> Result<String, LoadError> {
        block
            .get(at..)
            .and_then(|b| b.split(|&c| c == 0).next().filter(|s| s.len() < b.len()))
            .and_then(|s| std::str::from_utf8(s).ok())
            .map(String::from)
            .ok_or_else(|| self.error("a name is not a terminated string"))
    }

    fn tree(&mut self) -> Result<Node, LoadError> {
        let mut open: Vec<Node> = Vec::new();
        let mut root = None;
        loop {
            match self.token()? {
                NOP => {}
                BEGIN_NODE => {
                    if open.len() == MAX_DEPTH || (open.is_empty() && root.is_some()) {
                        return Err(self.error("nodes nest too deep, or there are two roots"));
                    }
                    let name = self.string(self.block, self.at)?;
                    self.at = (self.at + name.len() + 1).next_multiple_of(4);
                    open.push(Node { name, ..Node::default() });
                }
                END_NODE => {
                    let node = open.pop().ok_or_else(|| self.error("a node ends that never began"))?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => root = Some(node),
                    }
                }
                PROP => {
                    let size = self.token()? as usize;
                    let name = self.token()? as usize;
                    let name = self.string(self.strings, name)?;
                    let value = self
                        .at
                        .checked_add(size)
                        .and_then(|end| self.block.get(self.at..end))
                        .ok_or_else(|| self.error("a property value reaches outside"))?
                        .to_vec();
                    self.at = (self.at + size).next_multiple_of(4);
                    match open.last_mut() {
                        Some(node) => node.props.push((name, value)),
                        None => return Err(self.error("a property outside all nodes")),
                    }
                }
                END if open.is_empty() => return root.ok_or_else(|| self.error("no root node")),
                END => return Err(self.error("the tree ends inside a node")),
                token => {
                    self.at -= 4;
                    return Err(self.error(format!("unknown token {token:#x}")));
                }
            }
        }
    }
}

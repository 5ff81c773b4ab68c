//! Regions that go on to one another: the links of their code.

use lyrebird_isa::Cpu;
use lyrebird_isa::state::PAGE_MASK;

use super::regions::Regions;
use crate::t0::BlockId;
use crate::t1::LinkSite;
use crate::t1::chain::of_link;

/// A link of an installed region.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    site: LinkSite,
    /// The region that it leads to.
    to: Option<u64>,
}

/// The links from and to a region.
#[derive(Debug, Default)]
pub struct Links {
    from: Vec<Link>,
    /// Regions and their links that lead here.
    to: Vec<(u64, usize)>,
}

impl Links {
    /// Links that lead nowhere yet.
    pub fn new(sites: &[LinkSite]) -> Links {
        Links { from: sites.iter().map(|&site| Link { site, to: None }).collect(), to: Vec::new() }
    }
}

impl<C: Cpu> Regions<C> {
    /// Makes the link with that name lead to the region that is entered at `head`, where control has just gone by it.
    pub fn link(&mut self, name: u64, head: BlockId) {
        let (source, number) = of_link(name);
        let Some(target) = self.at(head) else { return };
        let (id, pc) = (target.id(), target.pc());
        let Some(from) = self.get(source) else { return };
        // Inside the page by which the region was found, the mapping cannot be another one.
        let same_page = from.pc() & PAGE_MASK == pc & PAGE_MASK;
        let to = if same_page { target.body } else { target.checked };
        let Some(link) = from.links.from.get(number) else { return };
        if link.to.is_some() || link.site.pc != pc {
            return;
        }
        from.code.patch(link.site.site, to);
        if let Some(link) = self.installed.get_mut(&source).and_then(|r| r.links.from.get_mut(number)) {
            link.to = Some(id);
        }
        if let Some(target) = self.installed.get_mut(&id) {
            target.links.to.push((source, number));
        }
    }

    /// Lets nothing lead to or from a region that goes.
    pub fn unlink(&mut self, id: u64, links: &Links) {
        for &(source, number) in &links.to {
            if let Some(from) = self.installed.get_mut(&source)
                && let Some(link) = from.links.from.get_mut(number)
            {
                link.to = None;
                from.code.patch(link.site.site, from.code.entry() as u64 + link.site.stub as u64);
            }
        }
        for (number, link) in links.from.iter().enumerate() {
            if let Some(target) = link.to.and_then(|to| self.installed.get_mut(&to)) {
                target.links.to.retain(|x| *x != (id, number));
            }
        }
    }
}

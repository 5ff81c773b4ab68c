//! The CLIF function of a region, and those of the thunks behind its memory accesses.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, BlockArg, Function, InstBuilder, MemFlagsData, Signature, SourceLoc, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use lyrebird_isa::{Activity, Core, Cpu, Visitor};

use super::chain;
use super::compiler::CompileError;
use super::dump::location;
use super::emit::{
    ClifEmitter, Env, Layout, MEMOP_MASK, RETIRED_SHIFT, RMW_SHIFT, SCRATCH_DATA, SCRATCH_VA, SCRATCH_WORD,
    Slow,
};
use super::flow::{self, Region};
use super::region::{RegionExit, RegionRequest};
use super::slow::SlowPaths;

const PC: i32 = offset_of!(Core, pc) as i32;
const BUDGET: i32 = offset_of!(Core, budget) as i32;

/// What differs between hosts.
#[derive(Clone, Copy)]
pub struct Host {
    /// Convention of `extern "C"`.
    pub call_conv: CallConv,
    /// Total store order.
    pub tso: bool,
    /// Regions may enter one another.
    pub chain: bool,
    /// Keep account in [`Core::activity`].
    pub account: bool,
    /// Address of [`SlowPaths::sys`].
    pub sys: Option<u64>,
    /// Address of [`SlowPaths::look`].
    pub look: u64,
    /// What [`FunctionBuilder::finalize`] wants to know.
    pub frontend: TargetFrontendConfig,
}

/// Signature of a thunk: takes the core, keeps all registers.
fn thunk_signature() -> Signature {
    let mut sig = Signature::new(CallConv::PreserveAll);
    sig.params.push(AbiParam::new(types::I64));
    sig
}

struct EmitVisitor<'e, 'a, 'f, C: Cpu>(&'e mut ClifEmitter<'a, 'f, C>);

impl<C: Cpu> Visitor<C> for EmitVisitor<'_, '_, '_, C> {
    type Out = ();

    fn visit<S: lyrebird_isa::Sem<C>>(self, s: S) {
        let Ok(()) = s.sem(self.0);
    }
}

/// Builds the function of a region, `tail fn(core: *mut Core, budget: u64)`, and yields the addresses that its links lead
/// to. It ends by jumping to [`chain::EXIT`] with a [`RegionExit`], or to other regions.
pub fn build_region<C: Cpu>(
    func: &mut Function,
    context: &mut FunctionBuilderContext,
    host: Host,
    region: &Region,
    request: &RegionRequest,
) -> Result<Vec<u64>, CompileError> {
    func.signature = chain::signature(2);
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;

    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let [core, budget] = [0, 1].map(|i| b.block_params(entry)[i]);

    let helper_sig = b.import_signature(helper_signature(host));
    let thunk_sig = b.import_signature(thunk_signature());
    let slow = Slow::ALL.map(|s| chain::import(b, s as usize, thunk_sig));
    let aside = chain::import(b, chain::ASIDE, thunk_sig);

    let ret = b.create_block();
    b.append_block_param(ret, types::I64);
    let fault = b.create_block();
    b.set_cold_block(fault);
    let next = b.create_block();
    b.append_block_param(next, types::I64);
    b.append_block_param(next, types::I64);
    let first = b.create_block();

    let head = &region.blocks[0];
    let head_pc = head.insns.first().map_or(0, |i| i.pc);
    let trusted = MemFlagsData::trusted();
    let budget_var = b.declare_var(types::I64);
    b.def_var(budget_var, budget);
    let zero = b.ins().iconst(types::I64, 0);
    let left = b.ins().icmp(IntCC::SignedGreaterThan, budget, zero);
    let spent = b.create_block();
    b.set_cold_block(spent);
    b.ins().brif(left, first, &[], spent, &[]);
    b.switch_to_block(spent);
    b.seal_block(spent);
    let pc = b.ins().iconst(types::I64, head_pc as i64);
    b.ins().store(trusted, pc, core, PC);
    b.ins().store(trusted, budget, core, BUDGET);
    let code = b.ins().iconst(types::I64, RegionExit::Budget as i64);
    b.ins().jump(ret, &[BlockArg::from(code)]);
    b.switch_to_block(first);
    b.seal_block(first);
    let account = host.account.then(|| {
        let cell = b.ins().load(
            types::I64,
            trusted,
            core,
            offset_of!(Core, activity) as i32 + Activity::CELL as i32,
        );
        let id = b.ins().iconst(types::I32, i64::from(request.id as u32));
        b.ins().store(trusted, id, cell, Activity::REGION as i32);
        cell
    });
    let tlb = (region.has_memory() && !request.verify)
        .then(|| b.ins().load(types::I64, trusted, core, offset_of!(Core, tlb) as i32));

    let env = Env {
        core,
        tlb,
        helper_sig,
        slow,
        aside,
        ret,
        next,
        fault,
        verify: request.verify,
        quick: request.quick.is_some(),
        account,
        sys: host.sys.filter(|_| request.verify),
        look: host.look,
        tso: host.tso,
        chain: host.chain && !request.verify,
    };
    let mut e = ClifEmitter::<C>::new(b, env, budget);
    e.count();
    let needed = region.blocks.iter().fold(0, |m, b| m | b.ssa_in);
    for r in flow::members(needed) {
        let var = e.declare(r);
        if head.ssa_in & 1 << r != 0 {
            let v = e.load_reg(r);
            e.b.def_var(var, v);
        }
    }
    if region.blocks.iter().any(|b| b.flags_in) {
        e.declare_flags();
    }
    if head.flags_in {
        e.hand_flags_over();
    }
    let heads: Vec<_> = region.blocks.iter().map(|_| e.b.create_block()).collect();
    e.b.ins().jump(heads[0], &[]);

    let layout = Layout { region, pages: &request.pages, heads, budget: budget_var };
    // A block whose predecessors have all been emitted can be sealed at once, which saves it block parameters.
    let mut loops = vec![false; region.blocks.len()];
    for (i, b) in region.blocks.iter().enumerate() {
        for to in b.succ.iter().filter_map(|&(_, to)| to) {
            loops[to] |= to <= i;
        }
    }
    let mut flags = vec![None; region.blocks.len()];
    for (i, block) in region.blocks.iter().enumerate() {
        e.b.switch_to_block(layout.heads[i]);
        if !loops[i] {
            e.b.seal_block(layout.heads[i]);
        }
        e.begin_block(block, layout.budget, block.inherits.and_then(|p| flags[p]));
        let source = &request.blocks[block.source];
        let before: usize = region.blocks[..i].iter().map(|b| b.insns.len()).sum();
        for (n, insn) in block.insns.iter().enumerate() {
            if request.dump {
                e.b.set_srcloc(location(before + n));
            }
            e.begin_insn(insn.pc, n as u32);
            C::decode(&source.bytes[insn.offset..], insn.pc, request.mode, EmitVisitor(&mut e));
        }
        flags[i] = Some(e.flag_state());
        e.end_block(i, &layout);
    }
    e.b.set_srcloc(SourceLoc::default());
    e.finish_links();
    let error = e.error;
    let links = std::mem::take(&mut e.links).into_iter().map(|(pc, _)| pc).collect();

    // Exits to a computed address.
    b.switch_to_block(next);
    let (pc, budget) = (b.block_params(next)[0], b.block_params(next)[1]);
    if env.chain && env.quick {
        chain::go_on(b, core, pc, budget);
    } else if env.chain {
        chain::probe_and_jump(b, core, pc, budget);
    } else {
        b.ins().store(trusted, pc, core, PC);
        b.ins().store(trusted, budget, core, BUDGET);
        let code = b.ins().iconst(types::I64, RegionExit::Next as i64);
        b.ins().jump(ret, &[BlockArg::from(code)]);
    }
    b.switch_to_block(fault);
    let code = b.ins().iconst(types::I64, RegionExit::Fault as i64);
    b.ins().jump(ret, &[BlockArg::from(code)]);
    b.switch_to_block(ret);
    let code = b.block_params(ret)[0];
    chain::leave(b, core, code);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
    match error {
        Some((pc, what)) => Err(CompileError::Semantics { pc, what }),
        None => Ok(links),
    }
}

/// Begins a thunk, which is given the core.
fn begin_thunk(b: &mut FunctionBuilder<'_>) -> Value {
    b.func.signature = thunk_signature();
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    b.block_params(entry)[0]
}

/// Builds a thunk: `preserve_all fn(core: *mut Core)`. It finds its arguments in [`Core::scratch`], makes
/// [`Core::budget`] exact, and leaves results in the data words.
pub fn build_thunk(
    func: &mut Function,
    context: &mut FunctionBuilderContext,
    host: Host,
    slow: Slow,
    paths: &SlowPaths,
) {
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let core = begin_thunk(b);
    let trusted = MemFlagsData::trusted();

    let va = b.ins().load(types::I64, trusted, core, SCRATCH_VA);
    let word = b.ins().uload32(trusted, core, SCRATCH_WORD);
    let retired = b.ins().ushr_imm_u(word, RETIRED_SHIFT as i64);
    let budget = b.ins().load(types::I64, trusted, core, BUDGET);
    let budget = b.ins().isub(budget, retired);
    b.ins().store(trusted, budget, core, BUDGET);
    let memop = b.ins().band_imm_u(word, MEMOP_MASK as i64);
    let data =
        |b: &mut FunctionBuilder<'_>, n: i32| b.ins().load(types::I64, trusted, core, SCRATCH_DATA + 8 * n);
    let out = b.ins().iadd_imm_u(core, SCRATCH_DATA as i64);

    let mut args = vec![core, va, memop];
    let (f, returns) = match slow {
        Slow::Load => (paths.load as *const (), true),
        Slow::Store => {
            args.push(data(b, 0));
            (paths.store as *const (), false)
        }
        Slow::LoadPair => {
            args.push(out);
            (paths.load_pair as *const (), false)
        }
        Slow::StorePair => {
            args.extend([data(b, 0), data(b, 1)]);
            (paths.store_pair as *const (), false)
        }
        Slow::Load128 => {
            args.push(out);
            (paths.load128 as *const (), false)
        }
        Slow::Store128 => {
            args.extend([data(b, 0), data(b, 1)]);
            (paths.store128 as *const (), false)
        }
        Slow::Rmw => {
            let op = b.ins().ushr_imm_u(word, RMW_SHIFT as i64);
            let op = b.ins().band_imm_u(op, 15);
            args.extend([data(b, 0), op]);
            (paths.rmw as *const (), true)
        }
        Slow::Cas => {
            args.extend([data(b, 0), data(b, 1)]);
            (paths.cas as *const (), true)
        }
    };
    let mut sig = Signature::new(host.call_conv);
    sig.params = vec![AbiParam::new(types::I64); args.len()];
    if returns {
        sig.returns.push(AbiParam::new(types::I64));
    }
    let sig = b.import_signature(sig);
    let f = b.ins().iconst(types::I64, f as i64);
    let call = b.ins().call_indirect(sig, f, &args);
    if returns {
        let v = b.inst_results(call)[0];
        b.ins().store(trusted, v, core, SCRATCH_DATA);
    }
    b.ins().return_(&[]);
    builder.finalize(host.frontend);
}

/// The signature of helpers.
pub fn helper_signature(host: Host) -> Signature {
    let mut sig = Signature::new(host.call_conv);
    sig.params = vec![AbiParam::new(types::I64); 4];
    sig.returns = vec![AbiParam::new(types::I64)];
    sig
}

/// Builds the thunk of helpers that are seldom called: like those of [`build_thunk`], so that nothing in a region has to
/// make room for the call. It finds the helper's address, its last argument and the first two where accesses have their
/// address, instruction word and data.
pub fn build_aside(func: &mut Function, context: &mut FunctionBuilderContext, host: Host) {
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let core = begin_thunk(b);
    let trusted = MemFlagsData::trusted();
    let [f, a0, a1, a2] = [SCRATCH_VA, SCRATCH_DATA, SCRATCH_DATA + 8, SCRATCH_WORD]
        .map(|offset| b.ins().load(types::I64, trusted, core, offset));
    let sig = b.import_signature(helper_signature(host));
    let call = b.ins().call_indirect(sig, f, &[core, a0, a1, a2]);
    let v = b.inst_results(call)[0];
    b.ins().store(trusted, v, core, SCRATCH_DATA);
    b.ins().return_(&[]);
    builder.finalize(host.frontend);
}

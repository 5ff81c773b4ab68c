//! The CLIF function of a region, and those of the thunks behind its memory accesses.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder, MemFlagsData,
    SigRef, Signature, SourceLoc, UserExternalName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use lyrebird_isa::state::{JUMP_ENTRIES, JUMP_SHIFTS, JumpEntry, PAGE_MASK};
use lyrebird_isa::{Activity, Core, Cpu, Visitor};

use super::compiler::CompileError;
use super::dump::location;
use super::emit::{
    ClifEmitter, Env, Layout, MEMOP_MASK, RETIRED_SHIFT, RMW_SHIFT, SCRATCH_DATA, SCRATCH_VA, SCRATCH_WORD,
    Slow,
};
use super::flow::Region;
use super::region::{RegionExit, RegionRequest};
use super::slow::SlowPaths;
use crate::t0::Op;
use crate::t0::handler::RegionEntry;

const PC: i32 = offset_of!(Core, pc) as i32;
const BUDGET: i32 = offset_of!(Core, budget) as i32;

/// What differs between hosts.
#[derive(Clone, Copy)]
pub struct Host {
    /// Convention of `extern "C"`.
    pub call_conv: CallConv,
    /// Total store order.
    pub tso: bool,
    /// Address of the T0 handler that enters regions, where regions may enter one another.
    pub enter_handler: Option<u64>,
    /// Keep account in [`Core::activity`].
    pub account: bool,
    /// Address of [`SlowPaths::sys`].
    pub sys: Option<u64>,
    /// What [`FunctionBuilder::finalize`] wants to know.
    pub frontend: TargetFrontendConfig,
}

/// Signature of a thunk: takes the core, keeps all registers.
fn thunk_signature() -> Signature {
    let mut sig = Signature::new(CallConv::PreserveAll);
    sig.params.push(AbiParam::new(types::I64));
    sig
}

/// Signature of a region: any register may change.
fn region_signature() -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params.push(AbiParam::new(types::I64));
    sig.returns.push(AbiParam::new(types::I64));
    sig
}

struct EmitVisitor<'e, 'a, 'f, C: Cpu>(&'e mut ClifEmitter<'a, 'f, C>);

impl<C: Cpu> Visitor<C> for EmitVisitor<'_, '_, '_, C> {
    type Out = ();

    fn visit<S: lyrebird_isa::Sem<C>>(self, s: S) {
        let Ok(()) = s.sem(self.0);
    }
}

/// Builds the function of a region: `tail fn(core: *mut Core) -> RegionExit`.
pub fn build_region<C: Cpu>(
    func: &mut Function,
    context: &mut FunctionBuilderContext,
    host: Host,
    region: &Region,
    request: &RegionRequest,
) -> Result<(), CompileError> {
    func.signature = region_signature();
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;

    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let core = b.block_params(entry)[0];

    let mut helper_sig = Signature::new(host.call_conv);
    helper_sig.params = vec![AbiParam::new(types::I64); 4];
    helper_sig.returns = vec![AbiParam::new(types::I64)];
    let helper_sig = b.import_signature(helper_sig);
    let thunk_sig = b.import_signature(thunk_signature());
    let slow = Slow::ALL.map(|s| import(b, s as usize, thunk_sig));

    let trusted = MemFlagsData::trusted();
    let ret = b.create_block();
    b.append_block_param(ret, types::I64);
    let fault = b.create_block();
    b.set_cold_block(fault);
    let next = b.create_block();
    b.append_block_param(next, types::I64);
    b.append_block_param(next, types::I64);

    let head = &region.blocks[0];
    let head_pc = head.insns.first().map_or(0, |i| i.pc);
    let budget_var = b.declare_var(types::I64);
    let budget = b.ins().load(types::I64, trusted, core, BUDGET);
    b.def_var(budget_var, budget);
    // The upper half of the address: inside the region only the lower is stored.
    let pc = b.ins().iconst(types::I64, head_pc as i64);
    b.ins().store(trusted, pc, core, PC);
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
        ret,
        next,
        fault,
        verify: request.verify,
        account,
        sys: host.sys.filter(|_| request.verify),
        tso: host.tso,
        page: head_pc & PAGE_MASK,
    };
    let mut e = ClifEmitter::<C>::new(b, env, budget);
    let needed = region.blocks.iter().fold(0, |m, b| m | b.ssa_in);
    for r in (0..64).filter(|r| needed & 1 << r != 0) {
        let var = e.b.declare_var(types::I64);
        e.vars[r] = Some(var);
        if head.ssa_in & 1 << r != 0 {
            let offset = (offset_of!(Core, regs) + 8 * r) as i32;
            let v = e.b.ins().load(types::I64, trusted, core, offset);
            e.b.def_var(var, v);
        }
    }
    let heads: Vec<_> = region.blocks.iter().map(|_| e.b.create_block()).collect();
    e.b.ins().jump(heads[0], &[]);

    let layout = Layout { region, heads, budget: budget_var };
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
    let error = e.error;
    b.set_srcloc(SourceLoc::default());

    go_on(b, host, request, core, next, ret);
    b.switch_to_block(fault);
    let code = b.ins().iconst(types::I64, RegionExit::Fault as i64);
    b.ins().jump(ret, &[BlockArg::from(code)]);
    b.switch_to_block(ret);
    let code = b.block_params(ret)[0];
    b.ins().return_(&[code]);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
    match error {
        Some((pc, what)) => Err(CompileError::Semantics { pc, what }),
        None => Ok(()),
    }
}

/// Fills the block in which all exits to a known address end: `next(pc, budget)`. Where regions may enter one another,
/// the chain function looks for one there.
fn go_on(
    b: &mut FunctionBuilder<'_>,
    host: Host,
    request: &RegionRequest,
    core: Value,
    next: Block,
    ret: Block,
) {
    let trusted = MemFlagsData::trusted();
    b.switch_to_block(next);
    let (pc, budget) = (b.block_params(next)[0], b.block_params(next)[1]);
    b.ins().store(trusted, pc, core, PC);
    b.ins().store(trusted, budget, core, BUDGET);
    if host.enter_handler.is_some() && !request.verify {
        let signature = b.import_signature(region_signature());
        let chain = import(b, CHAIN, signature);
        b.ins().return_call(chain, &[core]);
    } else {
        let code = b.ins().iconst(types::I64, RegionExit::Next as i64);
        b.ins().jump(ret, &[BlockArg::from(code)]);
    }
}

/// Imports a function of the compiler's by its number.
fn import(b: &mut FunctionBuilder<'_>, number: usize, signature: SigRef) -> FuncRef {
    let name = b.func.declare_imported_user_function(UserExternalName::new(0, number as u32));
    let name = ExternalName::user(name);
    b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false })
}

/// Builds `tail fn(core: *mut Core) -> RegionExit`, with which regions end whose successor is known by address: enters
/// the region that the jump cache knows at [`Core::pc`], or returns [`RegionExit::Next`].
pub fn build_chain<C: Cpu>(func: &mut Function, context: &mut FunctionBuilderContext, host: Host) {
    func.signature = region_signature();
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let trusted = MemFlagsData::trusted();
    let (probe, found, chain, out) = (b.create_block(), b.create_block(), b.create_block(), b.create_block());
    let first = b.create_block();
    b.append_block_params_for_function_params(first);
    b.switch_to_block(first);
    let core = b.block_params(first)[0];
    b.set_cold_block(out);
    let budget = b.ins().load(types::I64, trusted, core, BUDGET);
    let zero = b.ins().iconst(types::I64, 0);
    let left = b.ins().icmp(IntCC::SignedGreaterThan, budget, zero);
    b.ins().brif(left, probe, &[], out, &[]);

    // The same comparison as T0's for computed branches.
    b.switch_to_block(probe);
    let pc = b.ins().load(types::I64, trusted, core, PC);
    let low = b.ins().ushr_imm_u(pc, JUMP_SHIFTS[0] as i64);
    let high = b.ins().ushr_imm_u(pc, JUMP_SHIFTS[1] as i64);
    let index = b.ins().bxor(low, high);
    let index = b.ins().band_imm_u(index, JUMP_ENTRIES as i64 - 1);
    let at = b.ins().ishl_imm_u(index, size_of::<JumpEntry>().trailing_zeros() as i64);
    let cache = b.ins().load(types::I64, trusted, core, offset_of!(Core, jump_cache) as i32);
    let at = b.ins().iadd(cache, at);
    let field =
        |b: &mut FunctionBuilder<'_>, offset: usize| b.ins().load(types::I64, trusted, at, offset as i32);
    let va = field(b, offset_of!(JumpEntry, va));
    let other = b.ins().bxor(va, pc);
    let ctx = field(b, offset_of!(JumpEntry, ctx));
    let mask = field(b, offset_of!(JumpEntry, mask));
    let now = b.ins().load(types::I64, trusted, core, offset_of!(Core, code_ctx) as i32);
    let differ = b.ins().bxor(ctx, now);
    let differ = b.ins().band(differ, mask);
    let miss = b.ins().bor(other, differ);
    b.ins().brif(miss, out, &[], found, &[]);

    b.switch_to_block(found);
    let op = field(b, offset_of!(JumpEntry, op));
    let handler = b.ins().load(types::I64, trusted, op, offset_of!(Op<C>, handler) as i32);
    let enter = b.ins().iconst(types::I64, host.enter_handler.unwrap_or(0) as i64);
    let is_region = b.ins().icmp(IntCC::Equal, handler, enter);
    b.ins().brif(is_region, chain, &[], out, &[]);

    b.switch_to_block(chain);
    let entry = b.ins().load(types::I64, trusted, op, offset_of!(Op<C>, payload) as i32);
    let f = b.ins().load(types::I64, trusted, entry, offset_of!(RegionEntry, entry) as i32);
    // Behind the stub that is there for callers with the host's convention.
    let f = b.ins().iadd_imm_u(f, STUB as i64);
    let sig = b.import_signature(region_signature());
    b.ins().return_call_indirect(sig, f, &[core]);

    b.switch_to_block(out);
    let code = b.ins().iconst(types::I64, RegionExit::Next as i64);
    b.ins().return_(&[code]);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
}

/// Number of the trampoline among the compiler's functions, behind the thunks.
pub const TRAMPOLINE: usize = Slow::ALL.len();
/// Number of the chain function.
pub const CHAIN: usize = TRAMPOLINE + 1;

/// Builds `extern "C" fn(core: *mut Core, region: *const u8) -> RegionExit`, which calls a region.
pub fn build_trampoline(func: &mut Function, context: &mut FunctionBuilderContext, host: Host) {
    func.signature = Signature::new(host.call_conv);
    func.signature.params = vec![AbiParam::new(types::I64); 2];
    func.signature.returns = vec![AbiParam::new(types::I64)];
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let (core, region) = (b.block_params(entry)[0], b.block_params(entry)[1]);
    let sig = b.import_signature(region_signature());
    let call = b.ins().call_indirect(sig, region, &[core]);
    let code = b.inst_results(call)[0];
    b.ins().return_(&[code]);
    builder.finalize(host.frontend);
}

/// Bytes in front of a region's function: the stub that makes it callable with the host's convention.
pub const STUB: usize = 32;

/// The stub at address `at`: passes the address of the function behind it to the trampoline.
pub fn stub(at: u64, trampoline: u64) -> [u8; STUB] {
    // mov rsi, imm64; jmp rel32
    let mut s = [0xcc; STUB];
    s[..2].copy_from_slice(&[0x48, 0xbe]);
    s[2..10].copy_from_slice(&(at + STUB as u64).to_le_bytes());
    s[10] = 0xe9;
    s[11..15].copy_from_slice(&(trampoline.wrapping_sub(at + 15) as u32).to_le_bytes());
    s
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
    func.signature = thunk_signature();
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let core = b.block_params(entry)[0];
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

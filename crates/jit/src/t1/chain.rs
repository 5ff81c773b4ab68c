//! How regions are entered, left, and go on to one another.
//!
//! A region that leaves to a known address does so by a *link*: a jump that at first leads to [`LINK`], and that the
//! engine points at the next region once there is one. Computed addresses are looked up in the jump cache, inline.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, ExtFuncData, ExternalName, FuncRef, Function, GlobalValueData, InstBuilder,
    MemFlagsData, SigRef, Signature, UserExternalName, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use lyrebird_isa::Core;
use lyrebird_isa::state::{CODE_MODE, JUMP_ENTRIES, JUMP_SHIFTS, JumpEntry};

use super::emit::Slow;
use super::function::{Host, helper_signature};
use super::region::RegionExit;

/// Number of `host::enter` among the compiler's functions, behind the thunks.
pub const ENTER: usize = Slow::ALL.len();
/// Number of `host::exit`.
pub const EXIT: usize = ENTER + 1;
/// Number of the way out with [`RegionExit::Next`], a `host::exit_at`.
pub const OUT: usize = ENTER + 2;
/// Number of the way out with [`RegionExit::Fetch`], another.
pub const FETCH: usize = ENTER + 3;
/// Number of the function of [`build_link`].
pub const LINK: usize = ENTER + 4;

/// Number of the function of [`build_raise`].
pub const RAISE: usize = ENTER + 5;
/// Number of the function of [`build_probe`].
pub const PROBE: usize = ENTER + 6;
/// Number of the thunk of helpers that are seldom called.
pub const ASIDE: usize = ENTER + 7;

/// External names in this namespace are functions by number.
pub const FUNCTIONS: u32 = 0;
/// External names in this namespace are a region's links: `tail fn(core: *mut Core, budget: u64)`.
pub const LINKS: u32 = 1;
/// The external name in this namespace is the copy of `host::jump` behind a function.
pub const JUMPS: u32 = 2;
/// The external name in this namespace is where a region counts.
pub const COUNTS: u32 = 3;

/// Signature of what regions jump to: any register may change.
pub fn signature(params: usize) -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params = vec![AbiParam::new(types::I64); params];
    sig
}

fn import_from(b: &mut FunctionBuilder<'_>, namespace: u32, number: usize, signature: SigRef) -> FuncRef {
    let name = b.func.declare_imported_user_function(UserExternalName::new(namespace, number as u32));
    let name = ExternalName::user(name);
    b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false })
}

/// Imports a function of the compiler's by its number.
pub fn import(b: &mut FunctionBuilder<'_>, number: usize, signature: SigRef) -> FuncRef {
    import_from(b, FUNCTIONS, number, signature)
}

fn go(b: &mut FunctionBuilder<'_>, namespace: u32, number: usize, args: &[Value]) {
    let sig = b.import_signature(signature(args.len()));
    let f = import_from(b, namespace, number, sig);
    b.ins().return_call(f, args);
}

/// Leaves compiled code with a [`RegionExit`].
pub fn leave(b: &mut FunctionBuilder<'_>, core: Value, code: Value) {
    go(b, FUNCTIONS, EXIT, &[core, code]);
}

/// Leaves with the fault that a helper records: the core, the helper's address, its arguments. Everything is in the core
/// by then.
pub fn raise(b: &mut FunctionBuilder<'_>, args: &[Value; 5]) {
    go(b, FUNCTIONS, RAISE, args);
}

/// Goes on at the guest's address `pc` with a budget, for functions in which room is dearer than the prediction of a
/// jump of their own.
pub fn go_on(b: &mut FunctionBuilder<'_>, core: Value, pc: Value, budget: Value) {
    go(b, FUNCTIONS, PROBE, &[core, budget, pc]);
}

/// Follows a link by its number.
pub fn follow(b: &mut FunctionBuilder<'_>, core: Value, budget: Value, number: usize) {
    go(b, LINKS, number, &[core, budget]);
}

/// The address of the number in which a region counts.
pub fn count(b: &mut FunctionBuilder<'_>) -> Value {
    let name = b.func.declare_imported_user_function(UserExternalName::new(COUNTS, 0));
    let count = b.create_global_value(GlobalValueData::Symbol {
        name: ExternalName::user(name),
        offset: 0.into(),
        colocated: false,
        tls: false,
    });
    b.ins().symbol_value(types::I64, count)
}

const LINK_BITS: u32 = 10;

/// Links of a region at most; what leaves elsewhere is looked up.
pub const MAX_LINKS: usize = 1 << LINK_BITS;

/// The value of [`Core::link`] for a link of a region.
pub fn link_name(id: u64, number: usize) -> u64 {
    id << LINK_BITS | number as u64
}

/// The region and number of a link.
pub fn of_link(name: u64) -> (u64, usize) {
    (name >> LINK_BITS, name as usize & (MAX_LINKS - 1))
}

/// Looks an address up in the jump cache: yields the code to go on at. Where there is none, jumps to `missed`.
fn probe(b: &mut FunctionBuilder<'_>, core: Value, pc: Value, missed: Block) -> Value {
    let trusted = MemFlagsData::trusted();
    // The same comparison as T0's for computed branches.
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
    let (same, found) = (b.create_block(), b.create_block());
    let here = b.ins().icmp(IntCC::Equal, va, pc);
    b.ins().brif(here, same, &[], missed, &[]);
    b.switch_to_block(same);
    // Of the context only the mode counts: a region is entered where it looks itself whether its page is mapped as it was,
    // and another process mostly has it there as well.
    let ctx = field(b, offset_of!(JumpEntry, ctx));
    let now = b.ins().load(types::I64, trusted, core, offset_of!(Core, code_ctx) as i32);
    let differ = b.ins().bxor(ctx, now);
    const { assert!(CODE_MODE == u16::MAX as u64) };
    let mode = b.ins().ireduce(types::I16, differ);
    b.ins().brif(mode, missed, &[], found, &[]);
    b.switch_to_block(found);
    field(b, offset_of!(JumpEntry, code))
}

/// Begins a function that regions jump to, and yields its parameters.
fn begin<const N: usize>(b: &mut FunctionBuilder<'_>) -> [Value; N] {
    b.func.signature = signature(N);
    let first = b.create_block();
    b.append_block_params_for_function_params(first);
    b.switch_to_block(first);
    std::array::from_fn(|i| b.block_params(first)[i])
}

/// Builds `tail fn(core: *mut Core, budget, pc, link: u64)`, which links lead to as long as there is nothing else: leaves
/// with [`RegionExit::Link`] where the jump cache knows a region at `pc`, else with [`RegionExit::Next`].
pub fn build_link(func: &mut Function, context: &mut FunctionBuilderContext, host: Host, out: u64) {
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let [core, budget, pc, link] = begin(b);
    let (found, missed) = (b.create_block(), b.create_block());
    let code = probe(b, core, pc, missed);
    let out = b.ins().iconst(types::I64, out as i64);
    let region = b.ins().icmp(IntCC::NotEqual, code, out);
    b.ins().brif(region, found, &[], missed, &[]);
    b.switch_to_block(found);
    for (value, offset) in
        [(pc, offset_of!(Core, pc)), (budget, offset_of!(Core, budget)), (link, offset_of!(Core, link))]
    {
        b.ins().store(MemFlagsData::trusted(), value, core, offset as i32);
    }
    let code = b.ins().iconst(types::I64, RegionExit::Link as i64);
    leave(b, core, code);
    b.switch_to_block(missed);
    go(b, FUNCTIONS, OUT, &[core, budget, pc]);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
}

/// Builds `tail fn(core: *mut Core, helper, a0, a1, a2: u64)`, the end of [`raise`].
pub fn build_raise(func: &mut Function, context: &mut FunctionBuilderContext, host: Host) {
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let [core, helper, a0, a1, a2] = begin(b);
    let trusted = MemFlagsData::trusted();
    let sig = b.import_signature(helper_signature(host));
    // The helper may change the program counter before it finds the fault.
    let pc = b.ins().load(types::I64, trusted, core, offset_of!(Core, pc) as i32);
    b.ins().call_indirect(sig, helper, &[core, a0, a1, a2]);
    b.ins().store(trusted, pc, core, offset_of!(Core, pc) as i32);
    let code = b.ins().iconst(types::I64, RegionExit::Fault as i64);
    leave(b, core, code);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
}

/// Builds `tail fn(core: *mut Core, budget, pc: u64)`, the end of [`go_on`].
pub fn build_probe(func: &mut Function, context: &mut FunctionBuilderContext, host: Host) {
    let mut builder = FunctionBuilder::new(func, context);
    let b = &mut builder;
    let [core, budget, pc] = begin(b);
    probe_and_jump(b, core, pc, budget);
    b.seal_all_blocks();
    builder.finalize(host.frontend);
}

/// Goes on at the guest's address `pc` with a budget. Leaves with [`RegionExit::Next`] where the jump cache does not know
/// it. A function does so at one place.
pub fn probe_and_jump(b: &mut FunctionBuilder<'_>, core: Value, pc: Value, budget: Value) {
    let missed = b.create_block();
    b.set_cold_block(missed);
    let code = probe(b, core, pc, missed);
    go(b, JUMPS, 0, &[core, budget, pc, code]);
    b.switch_to_block(missed);
    go(b, FUNCTIONS, OUT, &[core, budget, pc]);
}

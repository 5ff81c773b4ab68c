//! System programming, with expectations from the SDM.

mod events;
mod registers;
mod segments;
mod transfers;

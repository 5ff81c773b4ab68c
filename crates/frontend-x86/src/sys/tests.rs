//! System programming, with expectations from the SDM.

mod events;
mod limits;
mod registers;
mod segments;
mod transfers;

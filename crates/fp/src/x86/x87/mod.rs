//! Operations of the FPU in double extended precision (SDM Vol. 1, chapter 8).

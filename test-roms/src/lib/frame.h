// Layout of `struct frame` for assembly.
#pragma once

#define FRAME_X30 240
#define FRAME_ELR 256
#define FRAME_ESR 272
#define FRAME_VECTOR 288
#define FRAME_SIZE 304

#define SVC_EL0_DONE 0x7ff0

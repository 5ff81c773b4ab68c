// PL011 (DDI 0183G).

#include "rom.h"

#define UART 0x09000000ull
#define UARTDR (UART + 0x000)
#define UARTFR (UART + 0x018)
#define UARTIBRD (UART + 0x024)
#define UARTFBRD (UART + 0x028)
#define UARTLCR_H (UART + 0x02c)
#define UARTCR (UART + 0x030)
#define UARTIMSC (UART + 0x038)
#define UARTICR (UART + 0x044)

#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)

void uart_init(void)
{
    mmio_write32(UARTCR, 0);
    mmio_write32(UARTICR, 0x7ff);
    // 115200 baud from 24 MHz.
    mmio_write32(UARTIBRD, 13);
    mmio_write32(UARTFBRD, 1);
    // WLEN 8 bits, FEN.
    mmio_write32(UARTLCR_H, 3 << 5 | 1 << 4);
    // RXE, TXE, UARTEN.
    mmio_write32(UARTCR, 0x301);
}

void uart_putc(char c)
{
    while (mmio_read32(UARTFR) & FR_TXFF)
        ;
    mmio_write32(UARTDR, (u8)c);
}

int uart_getc(void)
{
    if (mmio_read32(UARTFR) & FR_RXFE)
        return -1;
    return mmio_read32(UARTDR) & 0xff;
}

void uart_irq_enable(void)
{
    // RXIM, RTIM.
    mmio_write32(UARTIMSC, 1 << 4 | 1 << 6);
}

// SPDX-License-Identifier: MIT
/* Data that is visible only once it was read back. Any thread. */
#pragma once

/* Read the dma-buf back. -EBADF: it is none. */
int flush_dmabuf(int dmabuf_fd);

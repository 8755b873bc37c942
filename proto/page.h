// SPDX-License-Identifier: MIT
/*
 * The shared memory of fencebroker: layout, and nothing else. docs/memory-fence-abi.md is the
 * specification; this is the same in C. Included by the daemon and the library.
 *
 * Seven kinds of page. Each has one writer, with the exceptions stated there:
 *   payload  written by one device; read by the set's audience
 *   control  written by the daemon; read by the set's audience
 *   daemon   written by the daemon: payloads that it signals itself; read by the set's audience
 *   pair     written by the client and the daemon that share it, mapped by nobody else
 *   peer     the same for two clients, a signaler and a waiter; the daemon writes it too
 *   claim    written by the two ends of a link; the daemon reads it, and nobody else maps it
 *   life     written by the daemon, and by the kernel when the daemon ends; read by all its clients
 *
 * All values are little-endian, aligned to their size, and accessed as whole words. Who maps a page
 * written by somebody else takes its geometry from the wire, never from the page, and reads each
 * value once into a local before checking and using it.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

static_assert(sizeof(void *) == 8, "64-bit processes only: payloads are 64-bit words");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payloads are little-endian");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "words are lock-free");

#define FBK_PAGE_MAGIC   UINT64_C(0x314547504b4246) /* "FBKPGE1" */
#define FBK_PAGE_VERSION 1                          /* layouts of one version never change */

#define FBK_POISON           (UINT64_C(1) << 62)
#define FBK_MONITORED_NONE   UINT64_MAX
#define FBK_FAILED_FROM_NONE UINT64_MAX

enum fbk_page_kind {
	FBK_PAGE_PAYLOAD = 1,
	FBK_PAGE_CONTROL = 2,
	FBK_PAGE_DAEMON = 3,
	FBK_PAGE_PAIR = 4,
	FBK_PAGE_PEER = 5,
	FBK_PAGE_CLAIM = 6,
	FBK_PAGE_LIFE = 7,
};

enum fbk_status {
	FBK_STATUS_FREE = 0, /* no timeline has this slot (yet) */
	FBK_STATUS_OK = 1,
	FBK_STATUS_FAILING = 2,
	FBK_STATUS_FAILED = 3,
};

/* Offset 0 of every page. Informational in payload pages, which their device can overwrite. */
struct fbk_page_header {
	uint64_t magic;
	uint16_t version;
	uint16_t kind;
	uint32_t header_size; /* offset of slot 0 */
	uint32_t stride;
	uint32_t slot_count;
	uint64_t size;    /* of the whole page, in bytes */
	uint64_t page_id; /* unique in the life of the daemon */
	uint64_t set_id;  /* share set; 0 for pair pages */
	uint8_t reserved[80];
};

#define FBK_SLOT_STRIDE 128

/* A payload, control or daemon page is a power of two of bytes between these, and so is an alignment. */
#define FBK_PAGE_SIZE_MIN 4096
#define FBK_PAGE_SIZE_MAX (2 << 20)

/* A slot of a payload or daemon page. */
struct fbk_payload_slot {
	_Atomic uint64_t payload;
	_Atomic uint64_t timestamp; /* raw ticks of the device; 0: none */
	uint8_t reserved_a[48];
	_Atomic uint64_t
		raw; /* written by devices of FBK_VISIBILITY_IRQ, in place of the payload */
	uint8_t reserved_b[56];
};

/* A slot of a control page. The control page is the truth about a timeline's state. */
struct fbk_control_slot {
	_Atomic uint64_t monitored;   /* smallest point armed at the daemon */
	_Atomic uint64_t generation;  /* of the subscriber list */
	_Atomic uint32_t status;      /* enum fbk_status */
	_Atomic uint32_t cause;       /* enum fbk_cause of fencebroker.h */
	_Atomic int32_t error;        /* negative errno */
	uint32_t flags;               /* enum fbk_control_flags */
	_Atomic uint64_t failed_from; /* first point that failed */
	_Atomic uint64_t shadow;      /* 64-bit value of a 32-bit payload */
	_Atomic uint64_t clock_ticks; /* calibration: ticks at clock_ns, */
	_Atomic uint64_t clock_ns;    /* ns = clock_ns + ((ticks - clock_ticks) * mult >> shift) */
	_Atomic uint32_t clock_mult;  /* 0: the timestamps mean nothing */
	_Atomic uint32_t clock_shift;
	uint64_t timeline_id;
	uint8_t reserved[48];
};

enum fbk_control_flags {
	FBK_CONTROL_SHADOWED = 1 << 0, /* the payload is 32 bits wide: read the shadow */
};

/* A cell of a pair page: what one process waits for on one timeline. */
struct fbk_pair_cell {
	_Atomic uint64_t minimum;  /* smallest armed point; FBK_MONITORED_NONE: none */
	_Atomic uint32_t sequence; /* bumped at every wake; what the waiter sleeps on */
	_Atomic uint32_t mapped;   /* peer page: 1 while the signaler looks at this cell */
	/* For people who ask who waits: CLOCK_MONOTONIC, written by the waiter. */
	_Atomic uint64_t since_ns; /* when the minimum was lowered */
	_Atomic uint64_t until_ns; /* the last deadline of those who wait; 0: not told */
	uint8_t reserved[32];
};

/*
 * A lane: one direction of a link. A payload page with a single timeline, in slot 0, whose process raises it by one
 * for each thing that it says: of the producer's lane, a frame handed over; of the consumer's, one given back, or
 * another word of its own. Behind that lies a table with a slot for each buffer index, since a buffer is out once
 * per link at a time. So what happens to one buffer occupies nothing but its own slot. The producer's lane has an order
 * ring too: entry n says which index frame n went out in. Offsets, strides and counts come from the wire.
 *
 * The words of a slot are written before its number, which is written last; who reads them looks at the number before
 * and after. A frame is at the consumer if its number in the producer's slot is above `returned` in the consumer's, and
 * the claim word does not say that it was retracted.
 */
/* Flags that the daemon alone sets. */
#define FBK_FLAGS_PROTOCOL UINT32_C(0xffff0000)

/* Of a timeline: a producer's lane, a consumer's. */
#define FBK_TIMELINE_FRAMES  (1U << 16)
#define FBK_TIMELINE_RETURNS (1U << 17)
#define FBK_TIMELINE_LANE    (FBK_TIMELINE_FRAMES | FBK_TIMELINE_RETURNS)

#define FBK_LANE_HEAD      256 /* fbk_frame_head or fbk_return_head: behind slot 0 */
#define FBK_LANE_FIRST     320 /* where the table may begin */
#define FBK_LANE_SLOTS_MAX 1024

/* Numbers of the timelines whose points an end uses: of a producer its acquire timelines, as it chooses, up to
 * FBK_LANE_ACQUIRES; of a consumer the two release timelines of each buffer: 1 + 2 * index in memory, and that + 1
 * brokered. */
#define FBK_LANE_POINTS   128
#define FBK_LANE_ACQUIRES 64

/* A part of the producer's slot that is there; the others are not read. */
enum fbk_frame_part {
	FBK_PART_TIMES = 1 << 0,  /* pts_ns to capture */
	FBK_PART_PLANES = 1 << 1, /* planes */
	FBK_PART_CROP = 1 << 2,   /* crop and transform */
	FBK_PART_DAMAGE = 1 << 3, /* damage */
	FBK_PART_USER = 1 << 4,   /* user; bits 16 to 23 are how many bytes of it */
	/* Not a part: the consumer's lane is raised when this frame is taken, too. */
	FBK_PART_NOTIFY = 1 << 8,
};
#define FBK_PART_USER_SHIFT 16

struct fbk_lane_rectangle {
	_Atomic int32_t x, y;
	_Atomic uint32_t width, height;
};

struct fbk_lane_plane {
	_Atomic uint32_t offset; /* of the data in the plane */
	_Atomic uint32_t used;   /* bytes from there */
};

#define FBK_DAMAGE_MAX     16
#define FBK_FRAME_USER_MAX 64

/* The producer's slot. What every frame has fills the first cache line. */
struct fbk_frame_slot {
	_Atomic uint64_t sequence; /* 0: being written, or never used */
	_Atomic uint64_t value;    /* of the acquire point */
	_Atomic uint32_t timeline; /* LinkPoint's number; 0: reached already */
	_Atomic uint32_t incarnation;
	_Atomic uint32_t generation;
	_Atomic uint32_t flags; /* enum fbk_frame_flags */
	_Atomic uint64_t deadline_ns;
	_Atomic uint32_t parts; /* enum fbk_frame_part */
	_Atomic uint32_t field_order;
	_Atomic uint64_t handed_ns; /* CLOCK_MONOTONIC, for people; 0: not told */
	uint8_t reserved_a[8];

	_Atomic int64_t pts_ns, dts_ns, duration_ns, capture_ns;
	_Atomic uint32_t capture; /* which moment capture_ns is */
	_Atomic uint32_t transform;
	struct fbk_lane_rectangle crop;
	uint8_t reserved_b[8];

	struct fbk_lane_plane planes[4];
	uint8_t reserved_c[32];

	_Atomic uint64_t user[FBK_FRAME_USER_MAX / 8];

	struct fbk_lane_rectangle damage[FBK_DAMAGE_MAX]; /* the first without width ends them */
};

/* Where the release point of a frame lies. */
enum fbk_release_kind {
	FBK_RELEASE_REACHED = 0,
	FBK_RELEASE_MEMORY = 1,   /* the buffer's timeline in memory */
	FBK_RELEASE_BROKERED = 2, /* the one that the daemon signals */
};

/* The consumer's slot: a cache line. */
struct fbk_return_slot {
	_Atomic uint64_t returned; /* the last frame of this index that came back; 0: none */
	_Atomic uint64_t taken;    /* the last one that was taken */
	_Atomic uint64_t value;    /* of the release point of `returned` */
	_Atomic uint32_t incarnation;
	_Atomic uint32_t kind; /* enum fbk_release_kind */
	_Atomic int32_t result;
	uint8_t reserved[28];
};

/* What a producer says besides its frames, in front of its table. Its lane is raised with it, to a number that has no
 * frame. */
struct fbk_frame_head {
	_Atomic uint32_t stopped; /* not 0: no frames come after those that are offered */
	uint8_t reserved[60];
};

static_assert(sizeof(struct fbk_frame_head) == FBK_LANE_FIRST - FBK_LANE_HEAD, "ABI");

/* What a consumer says besides that, in front of its table. Its lane is raised with each change. */
struct fbk_return_head {
	_Atomic uint32_t pauses;   /* raised with each change; odd: it wants no frames */
	_Atomic uint32_t delivery; /* enum fbk_delivery */
	_Atomic uint32_t hold;     /* frames that it holds at once */
	uint8_t reserved[52];
};

static_assert(sizeof(struct fbk_return_head) == FBK_LANE_FIRST - FBK_LANE_HEAD, "ABI");
static_assert(sizeof(struct fbk_frame_slot) == 512, "ABI");
static_assert(offsetof(struct fbk_frame_slot, pts_ns) == 64, "ABI");
static_assert(offsetof(struct fbk_frame_slot, planes) == 128, "ABI");
static_assert(offsetof(struct fbk_frame_slot, user) == 192, "ABI");
static_assert(offsetof(struct fbk_frame_slot, damage) == 256, "ABI");
static_assert(sizeof(struct fbk_return_slot) == 64, "ABI");

/*
 * The claim page of a pairing: a word for each index, each in a cache line of its own, which the two ends of the link
 * exchange and nobody else maps. It says who has the frame: `sequence << 2 | enum fbk_claim`. The producer writes
 * OFFERED; then the consumer exchanges that for TAKEN, or the producer for RETRACTED, and who comes second has lost.
 */
enum fbk_claim {
	FBK_CLAIM_NONE = 0,
	FBK_CLAIM_OFFERED = 1,
	FBK_CLAIM_TAKEN = 2,
	FBK_CLAIM_RETRACTED = 3,
};

#define FBK_CLAIM_STRIDE 64

struct fbk_claim_slot {
	_Atomic uint64_t word;
	uint8_t reserved[FBK_CLAIM_STRIDE - 8];
};

/* Slot 0 of the life page: of one run of the daemon, for all its clients. */
#define FBK_LIFE_OVER UINT32_C(0x40000000) /* FUTEX_OWNER_DIED */

struct fbk_life_slot {
	_Atomic uint32_t
		holder; /* a robust futex of the daemon's; with FBK_LIFE_OVER: it is gone */
	uint8_t reserved[FBK_SLOT_STRIDE - 4];
};

/*
 * The pair page of a client and the daemon. Cell n belongs to the client's timeline handle n; handle
 * 0 is none, and cell 0 is the context's: every wake also bumps it while its minimum is 0, which is
 * how a wait over more words than futex_waitv takes sleeps.
 * The bell bitmap carries the handles that the daemon shall look at: the client sets the handle's
 * bit, then the summary bit of that word, then rings the doorbell.
 */
#define FBK_PAIR_CELLS 4096
#define FBK_BELL_WORDS (FBK_PAIR_CELLS / 64)

struct fbk_pair_page {
	struct fbk_page_header header;
	_Atomic uint64_t bell_summary; /* bit w: bell[w] is not zero */
	uint64_t reserved_a[7];
	_Atomic uint64_t bell[FBK_BELL_WORDS];
	uint8_t reserved_b[4096 - 128 - 64 - 8 * FBK_BELL_WORDS];
	struct fbk_pair_cell cells[FBK_PAIR_CELLS];
};

/*
 * A peer page: cells of one waiter process that one signaler process looks at by itself with each
 * signal. Made by the daemon when the waiter asks; which cell belongs to which timeline is said on
 * the wire. A cell is never given out twice.
 */
#define FBK_PEER_SIZE  16384
#define FBK_PEER_CELLS 254

struct fbk_peer_page {
	struct fbk_page_header header;
	struct fbk_pair_cell cells[FBK_PEER_CELLS];
};

static_assert(sizeof(struct fbk_life_slot) == FBK_SLOT_STRIDE, "ABI");
static_assert(sizeof(struct fbk_peer_page) == FBK_PEER_SIZE, "ABI");
static_assert(offsetof(struct fbk_peer_page, cells) == 128, "ABI");
static_assert(offsetof(struct fbk_pair_cell, since_ns) == 16, "ABI");
static_assert(offsetof(struct fbk_pair_cell, until_ns) == 24, "ABI");
static_assert(sizeof(struct fbk_page_header) == 128, "ABI");
static_assert(sizeof(struct fbk_payload_slot) == FBK_SLOT_STRIDE, "ABI");
static_assert(offsetof(struct fbk_payload_slot, raw) == 64, "ABI");
static_assert(sizeof(struct fbk_control_slot) == FBK_SLOT_STRIDE, "ABI");
static_assert(sizeof(struct fbk_pair_cell) == 64, "ABI");
static_assert(offsetof(struct fbk_control_slot, status) == 16, "ABI");
static_assert(offsetof(struct fbk_control_slot, failed_from) == 32, "ABI");
static_assert(offsetof(struct fbk_control_slot, shadow) == 40, "ABI");
static_assert(offsetof(struct fbk_control_slot, timeline_id) == 72, "ABI");
static_assert(offsetof(struct fbk_pair_cell, sequence) == 8, "ABI");
static_assert(offsetof(struct fbk_pair_page, bell) == 192, "ABI");
static_assert(offsetof(struct fbk_pair_page, cells) == 4096, "ABI");
static_assert(FBK_BELL_WORDS == 64, "one summary word covers the bitmap");

/* How many slots fit a page of `size` bytes behind its header. */
static inline uint32_t fbk_page_slots(uint64_t size)
{
	return (uint32_t)((size - sizeof(struct fbk_page_header)) / FBK_SLOT_STRIDE);
}

static inline struct fbk_payload_slot *fbk_payload_slot_at(void *page, uint32_t slot)
{
	return (struct fbk_payload_slot *)((char *)page + sizeof(struct fbk_page_header)) + slot;
}

static inline struct fbk_payload_slot *fbk_payload_slot_of(_Atomic uint64_t *payload)
{
	return (struct fbk_payload_slot *)(void *)payload; /* it comes first */
}

static inline struct fbk_control_slot *fbk_control_slot_at(void *page, uint32_t slot)
{
	return (struct fbk_control_slot *)((char *)page + sizeof(struct fbk_page_header)) + slot;
}

static inline struct fbk_life_slot *fbk_life_slot_at(void *page)
{
	return (struct fbk_life_slot *)(void *)((char *)page + sizeof(struct fbk_page_header));
}

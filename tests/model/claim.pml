/*
 * SPDX-License-Identifier: MIT
 *
 * Frames of one link: a producer with BUFFERS buffers hands FRAMES frames over; each is drawn by its device, which says
 * so by the frame's acquire point; a consumer takes them, reads them, and gives the buffers back, by the tables and claim
 * words of proto/lane.h. Steps C1 to C5 are named alike in C. Every access is indivisible, and memory is in order: on
 * x86 a locked operation stands between any two of them that matter; elsewhere the orders in proto/lane.c do.
 *
 * Checked: nobody draws where another reads or draws; what is read is the frame that was taken; each frame has one end,
 * taken or retracted; and the consumer gets the last one: it does not sleep for ever (an invalid end state).
 *   MAILBOX  the consumer takes the newest that is reached, and the producer retracts what has a later one that is
 *            reached; else each frame is taken, in order
 *   KEEPS    the consumer keeps its first frame until the end
 *   PAUSE    the consumer pauses once: the producer retracts what is offered, hands nothing over, and a fifo passes over
 *            what was retracted, and nothing else
 *   DEATH    the consumer's session ends at any step; its process lives on, may still take, and dies later: the producer
 *            has back what was not taken at once, and what was taken when the process is dead
 * MUTANT_... leaves out or moves one step.
 */
#ifndef BUFFERS
#define BUFFERS 2
#endif
#ifndef FRAMES
#define FRAMES 4
#endif
#define ORDER 4 /* the length of the ring: at least 2 * BUFFERS */

#define OFFERED   1
#define TAKEN     2
#define RETRACTED 3

/* The lanes: payload, slots, order. */
byte payload;
byte sequence[BUFFERS];
byte order[ORDER];
byte returned[BUFFERS];

/* The claim words. */
byte claim_frame[BUFFERS];
byte claim[BUFFERS];

/* The buffers, and the acquire points. */
byte content[BUFFERS];
bool drawing[BUFFERS], reading[BUFFERS];
bool reached[FRAMES + 4]; /* those after the last never are */
byte ends[FRAMES + 1]; /* of each frame: taken and retracted, together */

bool paused, over; /* the producer has handed all over */
bool hungup, dead;

byte handed[BUFFERS]; /* the producer's own: what each buffer went out with; 0: never */

inline end_of(frame) {
	ends[frame]++;
	assert(ends[frame] == 1)
}

/* A later frame is there, and drawn. */
#define THERE(n) ((n) <= payload && reached[n])
#define LATER(n) (THERE((n) + 1) || THERE((n) + 2) || THERE((n) + 3))

#ifdef MUTANT_RETURN_UNMATCHED
#define BACK(b) (returned[b] != 0)
#else
#define BACK(b) (returned[b] == handed[b])
#endif

#ifdef MUTANT_REUSE_UNREACHED
#define DRAWN(b) true
#else
#define DRAWN(b) (handed[b] == 0 || reached[handed[b]])
#endif

/* C3: one exchange, or (mutant) a look and a store. `won` says whether it was in time. */
inline retract(b, n, won) {
#ifdef MUTANT_RETRACT_PLAIN
	won = (claim_frame[b] == n && claim[b] == OFFERED);
	if
	:: won -> claim[b] = RETRACTED
	:: else
	fi;
#else
	atomic {
		won = (claim_frame[b] == n && claim[b] == OFFERED);
		if
		:: won -> claim[b] = RETRACTED
		:: else
		fi
	};
#endif
	if
	:: won -> end_of(n)
	:: else
	fi
}

/* C2 */
inline take(b, n, won) {
#ifdef MUTANT_TAKE_PLAIN
	won = (claim_frame[b] == n && claim[b] == OFFERED);
	if
	:: won -> claim[b] = TAKEN
	:: else
	fi;
#else
	atomic {
		won = (claim_frame[b] == n && claim[b] == OFFERED);
		if
		:: won -> claim[b] = TAKEN
		:: else
		fi
	};
#endif
	if
	:: won -> end_of(n)
	:: else
	fi
}

/* The devices draw, some time later, in any order. */
inline draw(n) {
	atomic {
		b = 0;
		do
		:: b < BUFFERS && handed[b] == n -> break
		:: b < BUFFERS && handed[b] != n -> b++
		:: b == BUFFERS -> break
		od;
		if
		:: b < BUFFERS -> content[b] = n; drawing[b] = false
		:: else /* only a mutant reuses it before it is drawn */
		fi;
		reached[n] = true
	}
}

proctype device() {
	byte b, drawn = 0;
#ifdef DEATH
end_idle: /* not all are handed over */
#endif
	do
	:: drawn == FRAMES -> break
	:: payload >= 1 && !reached[1] -> draw(1); drawn++
	:: payload >= 2 && !reached[2] -> draw(2); drawn++
	:: payload >= 3 && !reached[3] -> draw(3); drawn++
	:: payload >= 4 && !reached[4] -> draw(4); drawn++
#if FRAMES > 4
	:: payload >= 5 && !reached[5] -> draw(5); drawn++
#endif
	od
}

/* Its consumer is gone: whether it can still read that one. */
#ifdef MUTANT_EVICT_HANGUP
#define EVICTED(b) (hungup && claim[b] == TAKEN)
#else
#define EVICTED(b) (dead && claim[b] == TAKEN)
#endif

/* What is not taken: its process may live, and map the claims. */
inline evict_offered(b, n, won) {
#ifdef MUTANT_EVICT_PLAIN
	won = true
#else
	retract(b, n, won)
#endif
}

proctype producer() {
	byte n = 1, b, old;
	bool won;
	do
	:: n > FRAMES -> break
	:: else ->
		/* C4: a buffer that is back, or one that is retracted. */
		won = false;
		do
		:: won -> break
		:: !won ->
			if
			:: handed[0] == 0 || BACK(0) -> b = 0; won = true
			:: handed[1] == 0 || BACK(1) -> b = 1; won = true
#if BUFFERS > 2
			:: handed[2] == 0 || BACK(2) -> b = 2; won = true
#endif
#ifdef MAILBOX
			:: handed[0] != 0 && !BACK(0) && LATER(handed[0]) && claim[0] == OFFERED ->
				b = 0; old = handed[0]; retract(b, old, won)
			:: handed[1] != 0 && !BACK(1) && LATER(handed[1]) && claim[1] == OFFERED ->
				b = 1; old = handed[1]; retract(b, old, won)
#if BUFFERS > 2
			:: handed[2] != 0 && !BACK(2) && LATER(handed[2]) && claim[2] == OFFERED ->
				b = 2; old = handed[2]; retract(b, old, won)
#endif
#endif
#ifdef PAUSE
			:: paused && handed[0] != 0 && !BACK(0) && claim[0] == OFFERED ->
				b = 0; old = handed[0]; retract(b, old, won)
			:: paused && handed[1] != 0 && !BACK(1) && claim[1] == OFFERED ->
				b = 1; old = handed[1]; retract(b, old, won)
#endif
#ifdef DEATH
			:: hungup -> goto reclaim
#endif
			fi
		od;
#ifdef PAUSE
		!paused; /* hand returns 0 before */
#endif
		/* A retracted buffer is still being drawn: its own acquire point is what to wait for. */
		DRAWN(b);
		assert(!reading[b] && !drawing[b]);
		drawing[b] = true;
		sequence[b] = 0;
		handed[b] = n;
		sequence[b] = n;
#ifndef MUTANT_OFFER_LATE
		atomic { claim_frame[b] = n; claim[b] = OFFERED }; /* C1 */
#endif
		order[n % ORDER] = b;
		payload = n;
#ifdef MUTANT_OFFER_LATE
		atomic { claim_frame[b] = n; claim[b] = OFFERED };
#endif
		n++
	od;
#ifdef DEATH
reclaim:
	hungup;
	b = 0;
	do
	:: b == BUFFERS -> break
	:: b < BUFFERS ->
		old = handed[b];
		won = (old == 0 || BACK(b));
		if
		:: won
		:: !won && claim[b] == OFFERED -> evict_offered(b, old, won)
		:: !won && (EVICTED(b) || BACK(b)) -> won = true
		fi;
		if
		:: won ->
			DRAWN(b);
			assert(!reading[b] && !drawing[b]);
			drawing[b] = true;
			b++
		:: else
		fi
	od;
#endif
	over = true
}

/* What a look at frame n finds: it is offered, and may be drawn. */
#define SEEN(n, b) (sequence[b] == n && claim_frame[b] == n && claim[b] == OFFERED)

inline read_and_return(n, b) {
	reading[b] = true;
	assert(reached[n] && !drawing[b]);
#ifdef DEATH
	if
	:: hungup -> assert(!drawing[b]); reading[b] = false; goto die
	:: true
	fi;
#endif
	assert(content[b] == n);
#ifdef MUTANT_RETURN_EARLY
	returned[b] = n; /* C5 */
	reading[b] = false;
#else
	reading[b] = false;
	returned[b] = n; /* C5 */
#endif
}

proctype consumer() {
	byte last = 0, n, b, seen, awaited, kept = 0, kept_in;
#ifdef PAUSE
	byte pauses = 0, passed = 0;
#endif
	bool won, changed;
	do
	:: last == FRAMES -> break
#ifdef PAUSE
	:: pauses < 2 -> paused = !paused; pauses++
	:: over && !paused && claim[0] != OFFERED && claim[1] != OFFERED -> break
#endif
#ifdef DEATH
	:: hungup -> goto die
	:: !hungup -> hungup = true
#endif
	:: last < FRAMES && !paused ->
		seen = payload;
		won = false;
		awaited = 0;
#ifdef MAILBOX
		/* The newest that is drawn. */
		n = seen;
		do
		:: won || n == last -> break
		:: !won && n > last ->
			b = order[n % ORDER];
			if
			:: SEEN(n, b) && reached[n] -> take(b, n, won)
			:: SEEN(n, b) && !reached[n] -> awaited = awaited | (1 << n)
			:: else
			fi;
			if
			:: won
			:: else -> n--
			fi
		od;
#else
		n = last + 1;
		if
		:: n <= seen ->
			b = order[n % ORDER];
			if
			:: SEEN(n, b) && reached[n] -> take(b, n, won)
			:: SEEN(n, b) && !reached[n] -> awaited = 1 << n
#ifdef PAUSE
			:: !SEEN(n, b) -> passed = passed | (1 << n); last = n
#endif
			:: else
			fi
#ifdef MUTANT_PASS_EARLY
		:: n > seen -> passed = passed | (1 << n); last = n
#else
		:: else
#endif
		fi;
#endif
		if
		:: won ->
			last = n;
#ifdef KEEPS
			if
			:: kept == 0 && n < FRAMES ->
				kept = n; kept_in = b; reading[b] = true
			:: else -> read_and_return(n, b)
			fi
#else
			read_and_return(n, b)
#endif
		:: else ->
			/* It sleeps until there is another frame, or one that it saw is drawn. */
			if
			:: payload != seen
			:: (awaited & 2) && reached[1]
			:: (awaited & 4) && reached[2]
			:: (awaited & 8) && reached[3]
			:: (awaited & 16) && reached[4]
#if FRAMES > 4
			:: (awaited & 32) && reached[5]
#endif
#ifdef PAUSE
			:: last == n /* passed over: looks at the next */
			:: pauses < 2
			:: over
#endif
#ifdef DEATH
			:: hungup -> goto die
#endif
			fi
		fi
	od;
#ifdef PAUSE
	/* What it passed over was retracted. */
	over;
	n = 1;
	do
	:: n > FRAMES -> break
	:: n <= FRAMES -> assert(!(passed & (1 << n)) || ends[n] == 1); n++
	od;
#endif
#ifdef DEATH
	hungup = true;
die:
	dead = true;
#endif
	if
	:: kept != 0 ->
		assert(content[kept_in] == kept && !drawing[kept_in]);
		reading[kept_in] = false;
		returned[kept_in] = kept
	:: else
	fi
}

init {
	atomic {
		run device();
		run producer();
		run consumer()
	}
}

/*
 * SPDX-License-Identifier: MIT
 *
 * The signalling protocol of docs/memory-fence-abi.md with the store buffers of x86 (TSO). Each step
 * that has a name (S3, W4, ...) is one access to shared memory, or one system call, and indivisible;
 * between any two steps anybody else may run. The C code names its steps alike. See README.md.
 *
 * A configuration is a set of macros; ./run knows them:
 *   WAITERS   threads that wait: the first CROWD of them in one process, each other in its own
 *   POINT     what they wait for; without it each for any, 1 to POINTS
 *   THREADS   that signal: one signals 1 to POINTS; of two one signals 1, the other 2
 *   WAKE_ONE  1 stands for the 16 that are woken at most; else that is more than there are
 *   PAIR      there is the pair path, and the first SHOWN processes are on it from the start; the
 *             signaler changes that CHANGES times at most
 *   DEATH     the signaler dies, at any step
 *   FAIL      the daemon fails the timeline, at any step of the others
 *   EXIT      the first waiting process dies, at any step
 *   BELL      to ring is three steps, and each doorbell rings once for nothing
 *   ANY       the first thread sleeps on cell 0
 * MUTANT_... leaves out or moves one step.
 */
#ifndef CROWD
#define CROWD 1
#endif
#ifndef THREADS
#define THREADS 1
#endif
#ifndef POINTS
#define POINTS 2
#endif
#ifndef SHOWN
#define SHOWN 0
#endif
#ifndef CHANGES
#define CHANGES 0
#endif
#if defined(DEATH) || defined(FAIL)
#define FAILS
#endif

/* Processes: those that wait, then the signaler. Threads: those that wait, those that signal, the
 * daemon. */
#define PROCESSES (WAITERS - CROWD + 1)
#define SIGNALER  PROCESSES
#define DAEMON    (WAITERS + THREADS)

#define NONE   255
#define POISON 64

/* ----------------------------------------------------------------------------------- memory -- */

/* The payload and the control slot; */
#define PAYLOAD     0
#define STATUS      1
#define FAILED_FROM 2
#define MONITORED   3
/* the cells. The last two words are in the memory of the process that waits. */
#define CELL(n)      (4 + 5 * (n))
#define PAIR_CELL(p) CELL(p)
#define PEER_CELL(p) CELL(PROCESSES + (p))
#define ANY_CELL     CELL(2 * PROCESSES)
#define WORDS        CELL(2 * PROCESSES + 1)

#define MINIMUM  0
#define SEQUENCE 1
#define MAPPED   2
#define SLEEPERS 3
#define PASSED   4

#define FAILING 0
#define OK      1
#define FAILED  2

byte word[WORDS];

/* What a thread has stored and nobody else sees yet. */
typedef buffer {
	byte fill;
	byte at[2];
	byte value[2]
}
buffer buffers[DAEMON + 1];

#define MY buffers[me]

/* A load sees what its own thread stored last. */
#define LOAD(w) ((MY.fill > 1 && MY.at[1] == (w)) -> MY.value[1] : LOAD_OLDER(w))
#define LOAD_OLDER(w) ((MY.fill > 0 && MY.at[0] == (w)) -> MY.value[0] : word[w])

/* A locked operation or a system call waits until all is stored that was stored before. */
#define LOCKED (MY.fill == 0)

inline store(w, v) /* a plain one */
{
	d_step {
		MY.fill < 2;
		MY.at[MY.fill] = w;
		MY.value[MY.fill] = v;
		MY.fill++
	}
}

inline exchange(w, v) /* a store that is a full fence, seq_cst in C */
{
	d_step {
		LOCKED;
		word[w] = v
	}
}

/* The processor stores it some time. */
proctype storing(byte me)
{
end:
	do
	:: d_step {
		MY.fill > 0;
		word[MY.at[0]] = MY.value[0];
		MY.at[0] = MY.at[1];
		MY.value[0] = MY.value[1];
		MY.at[1] = 0;
		MY.value[1] = 0;
		MY.fill--
	   }
	od
}

/* ------------------------------------------------------------------------- what the kernel does -- */

byte asleep[WAITERS];         /* on which cell; 0: awake */
byte fresh[WAITERS];          /* the cell whose sequence it holds, and is that still; else 0 */
bool gone;
bool doorbell[PROCESSES + 1]; /* an edge that the daemon has not seen */
bool dead[PROCESSES + 1];

inline wake_all(cell)
{
	d_step {
		LOCKED;
		woke = false;
		i = 0;
		do
		:: i < WAITERS && asleep[i] == cell ->
			asleep[i] = 0;
			woke = true;
			i++
		:: i < WAITERS && asleep[i] != cell -> i++
		:: i == WAITERS -> break
		od;
		i = 0
	}
}

#ifdef WAKE_ONE
/* Any of them: with priorities the kernel keeps no order of arrival. */
inline wake(cell)
{
	atomic {
		LOCKED;
		woke = true;
		if
		:: asleep[0] == cell -> asleep[0] = 0
#if WAITERS > 1
		:: asleep[1] == cell -> asleep[1] = 0
#endif
#if WAITERS > 2
		:: asleep[2] == cell -> asleep[2] = 0
#endif
#if WAITERS > 3
		:: asleep[3] == cell -> asleep[3] = 0
#endif
		:: else -> woke = false
		fi
	}
}
#else
#define wake wake_all
#endif

/* ---------------------------------------------------------------------------------- both sides -- */

/*
 * Of a sequence it only counts whether it is still what somebody loaded. So it is not counted, but for
 * those who pass wakes on: fewer states, and the same behaviour.
 */
inline sequence_raise(cell)
{
	d_step {
		LOCKED;
#ifdef WAKE_ONE
		word[cell + SEQUENCE]++;
#endif
		i = 0;
		do
		:: i < WAITERS && fresh[i] == cell -> fresh[i] = 0; i++
		:: i < WAITERS && fresh[i] != cell -> i++
		:: i == WAITERS -> break
		od;
		i = 0
	}
}

/* S4 to S6, and D4: take the minimum, raise the sequence, wake. */
inline bump(cell)
{
#ifdef MUTANT_BUMP_BEFORE_EXCHANGE
	sequence_raise(cell);
	exchange(cell + MINIMUM, NONE);
#else
	exchange(cell + MINIMUM, NONE);
	sequence_raise(cell);
#endif
	wake(cell)
}

#ifdef BELL
bool bell[PROCESSES + 1];
bool bell_summary[PROCESSES + 1];
#endif

inline ring(p)
{
#ifdef BELL
#ifdef MUTANT_SUMMARY_FIRST
	d_step { LOCKED; bell_summary[p] = true };
	d_step { LOCKED; bell[p] = true };
#else
	d_step { LOCKED; bell[p] = true };
	d_step { LOCKED; bell_summary[p] = true };
#endif
#endif
	d_step { LOCKED; doorbell[p] = true }
}

/* ----------------------------------------------------------------------------------- signaling -- */

/* The list of cells is in the memory of the signaler: of its only thread, where there is but one. */
#if THREADS > 1
bool mutex, listed, shows[PROCESSES];
byte changes = CHANGES;
#define SET(what, v) d_step { LOCKED; what = v }
#define LOCK         LOCKED && !mutex; mutex = true
#define UNLOCK       SET(mutex, false)
#else
#define SET(what, v) what = v
#define LOCK         skip
#define UNLOCK       skip
#endif

inline place_show(p)
{
#ifdef MUTANT_MAPPED_EARLY
	exchange(PEER_CELL(p) + MAPPED, 1); /* R2 */
	SET(shows[p], true);                /* R1 */
#else
	SET(shows[p], true);                /* R1 */
	exchange(PEER_CELL(p) + MAPPED, 1); /* R2 */
#endif
}

inline place_hide(p)
{
	SET(shows[p], false); /* X1 */
#ifdef MUTANT_DROP_EARLY
	bump(PEER_CELL(p));
#endif
	exchange(PEER_CELL(p) + MAPPED, 0); /* X2 */
#if !defined(MUTANT_DROP_SILENT) && !defined(MUTANT_DROP_EARLY)
	bump(PEER_CELL(p)) /* X3 to X5 */
#endif
}

/* After 16 wakes for nobody; here after any. */
inline pair_drop(p)
{
	atomic {
		LOCK;
		shown = shows[p]
	};
	if
	:: shown -> place_hide(p)
	:: else
	fi;
	UNLOCK
}

/* Whatever the daemon lists, and whenever its answer comes. */
inline pairs_refresh()
{
	do
	:: d_step { changes > 0; changes-- } ->
		select(p : 0 .. PROCESSES - 1);
		atomic {
			LOCK;
			if
			:: !listed -> listed = true
			:: else
			fi;
			shown = shows[p]
		};
		if
		:: shown -> place_hide(p)
		:: else -> place_show(p)
		fi;
		UNLOCK;
		p = 0;
		shown = false
	:: break
	od
}

/* S3: does the cell wait for this? */
inline place_look(p)
{
	atomic {
		shown = shows[p];
#if THREADS > 1
	};
	atomic {
#endif
		if
		:: shown && LOAD(PEER_CELL(p) + MINIMUM) <= value
		:: else -> shown = false
		fi
	}
}

inline pairs_signal()
{
	do
	:: p < PROCESSES ->
		place_look(p);
		if
		:: shown ->
			bump(PEER_CELL(p));
			if
			:: d_step { !woke && changes > 0; changes-- } -> pair_drop(p)
			:: true
			fi
		:: else
		fi;
		d_step {
			woke = false;
			shown = false;
			p++
		}
	:: else -> break
	od;
	p = 0
}

inline signal_told()
{
#ifdef PAIR
	if
	:: listed -> pairs_signal() /* S2 */
	:: else
	fi;
#endif
	if
	:: LOAD(MONITORED) <= value -> /* S7 */
		ring(SIGNALER);
#ifdef PAIR
		pairs_refresh()
#endif
	:: else
	fi
}

proctype signaler(byte me; byte value; byte last)
{
	byte p, i;
	bool woke, shown;
#if THREADS == 1
	byte changes = CHANGES;
	bool listed = SHOWN > 0;
	bool shows[PROCESSES];
	d_step {
		do
		:: p < SHOWN -> shows[p] = true; p++
		:: else -> break
		od;
		p = 0
	}
#endif

	{
		do
		:: value <= last ->
			/* S1 */
#ifdef MUTANT_SIGNAL_FENCE
			if
			:: LOAD(PAYLOAD) < value -> store(PAYLOAD, value)
			:: else -> break
			fi;
#else
			atomic {
				LOCKED;
				if
				:: word[PAYLOAD] < value -> word[PAYLOAD] = value
				:: word[PAYLOAD] >= value && word[PAYLOAD] < POISON ->
					value = word[PAYLOAD]
				:: word[PAYLOAD] >= POISON -> break
				fi
			}
#endif
			signal_told();
			value++
		:: else -> break
		od
	}
#ifdef DEATH
	unless {
		atomic {
			dead[SIGNALER];
			value = 0;
			p = 0;
			i = 0;
			woke = false;
			shown = false;
			changes = 0;
			gone = true
		}
	}
#endif
}

/* ------------------------------------------------------------------------------------- waiting -- */

#define AWAKE (asleep[me] == 0)

/*
 * Ends the wait when it is decided, and judges that. The payload comes before the status: who sees
 * poison sees a status for it. Poison apart, the payload tells what was signalled in the end.
 */
#define SIGNALLED (word[PAYLOAD] & (POISON - 1))

inline look()
{
#ifdef FAILS
	payload = LOAD(PAYLOAD);
	status = LOAD(STATUS);
	if
	:: status == OK && payload >= point ->
		atomic {
			assert(payload < POISON);
			assert(point <= SIGNALLED);
			fresh[me] = 0;
			goto done
		}
	:: status == FAILED ->
		atomic {
			if
			:: LOAD(FAILED_FROM) > point -> assert(point <= SIGNALLED)
			:: else -> assert(point > SIGNALLED)
			fi;
			fresh[me] = 0;
			goto done
		}
	:: else
	fi
#else
	if
	:: atomic {
		LOAD(PAYLOAD) >= point;
		assert(point <= SIGNALLED);
		fresh[me] = 0;
		goto done
	   }
	:: LOAD(PAYLOAD) < point
	fi
#endif
}

/* W3. One that is low was rung for by who lowered it. */
inline cell_arm()
{
	if
#ifdef MUTANT_WAIT_FENCE
	:: LOAD(cell + MINIMUM) > point ->
		store(cell + MINIMUM, point);
#else
	:: d_step {
		LOCKED && LOAD(cell + MINIMUM) > point;
		word[cell + MINIMUM] = point
	   };
#endif
		if
#ifdef MUTANT_UNMAPPED_UNARMED
		:: true
#else
		:: cell == PAIR_CELL(process) -> ring(process)
		:: else
#endif
		fi
	:: LOAD(cell + MINIMUM) <= point
	fi
}

/* W1, W2: on which cell, and its sequence. A sleep ends with the step that follows it. */
inline cell_choose()
{
#ifdef PAIR
	d_step {
		AWAKE;
		cell = PEER_CELL(process);
		fresh[me] = cell /* W1 */
	};
#ifndef MUTANT_UNMAPPED_UNARMED
	if
	:: LOAD(cell + MAPPED) /* W2 */
	:: else ->
		d_step {
			cell = PAIR_CELL(process);
			fresh[me] = cell /* W1 */
		}
	fi
#endif
#else
	d_step {
		AWAKE;
		cell = PAIR_CELL(process);
		fresh[me] = cell /* W1 */
	}
#endif
}

/* W5: the kernel compares and puts to sleep in one. */
inline futex_wait()
{
	d_step {
		LOCKED;
		if
		:: fresh[me] == cell -> asleep[me] = cell
		:: else
		fi;
#ifndef WAKE_ONE
		cell = 0;
#endif
		fresh[me] = 0
	}
}

/* W5 with its count, and W6: the first that sees the new sequence wakes all the others. */
inline crowd_wait()
{
	exchange(cell + SLEEPERS, word[cell + SLEEPERS] + 1);
	futex_wait();
	d_step {
		LOCKED && AWAKE;
		word[cell + SLEEPERS]--
	};
	sequence = LOAD(cell + SEQUENCE);
	if
	:: LOAD(cell + PASSED) != sequence ->
		if
		:: LOAD(cell + SLEEPERS) != 0 ->
			d_step {
				LOCKED;
				passed = word[cell + PASSED];
				word[cell + PASSED] = sequence
			};
			if
#ifdef MUTANT_CROWD_CHAIN
			:: passed != sequence -> wake(cell)
#else
			:: passed != sequence -> wake_all(cell)
#endif
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

proctype waiter(byte me; byte process)
{
	byte point, cell, sequence, payload, status, passed, i;
	bool woke;

	{
#ifdef POINT
		point = POINT;
#else
		select(point : 1 .. POINTS);
#endif
		do
		:: true ->
#ifdef MUTANT_WAIT_REREAD
			AWAKE;
			look();
#endif
			cell_choose();
#ifdef ANY
			if
			:: me == 0 ->
				fresh[me] = ANY_CELL;
#ifdef MUTANT_ANY_FENCE
				store(ANY_CELL + MINIMUM, 0)
#else
				exchange(ANY_CELL + MINIMUM, 0)
#endif
			:: else
			fi;
#endif
			cell_arm();
#ifndef MUTANT_WAIT_REREAD
			look(); /* W4 */
#endif
#ifdef ANY
			if
			:: me == 0 -> cell = ANY_CELL
			:: else
			fi;
#endif
#ifdef MUTANT_SEQUENCE_LATE
			fresh[me] = cell;
#endif
#if defined(WAKE_ONE) && !defined(MUTANT_WAKE_ONE)
			crowd_wait()
#else
			futex_wait()
#endif
		od;
done:
		point = 0; /* no more states than there have to be */
		cell = 0;
		sequence = 0
	}
#ifdef EXIT
	unless {
		atomic {
			dead[process];
			point = 0;
			cell = 0;
			fresh[me] = 0;
			asleep[me] = 0
		}
	}
#endif
}

/* ---------------------------------------------------------------------------------- the daemon -- */

#define DUE(q) (arm[q] != NONE && (failed || arm[q] <= seen))

inline find_due()
{
	d_step {
		woke = false;
		q = 0;
		do
		:: q < PROCESSES && !DUE(q) -> q++
		:: else -> break
		od
	}
}

/* D4 */
inline timeline_complete()
{
	find_due();
	do
	:: q < PROCESSES ->
		arm[q] = NONE;
		bump(PAIR_CELL(q));
#ifdef ANY
		if
		:: q == 0 && LOAD(ANY_CELL + MINIMUM) == 0 -> bump(ANY_CELL)
		:: else
		fi;
#endif
		find_due()
	:: else -> break
	od
}

inline find_next()
{
	d_step {
		next = NONE;
		q = 0;
		do
		:: q < PROCESSES && arm[q] < next -> next = arm[q]; q++
		:: q < PROCESSES && arm[q] >= next -> q++
		:: else -> break
		od
	}
}

inline timeline_look()
{
	do
	:: !failed ->
		seen = LOAD(PAYLOAD); /* D3, after D2 */
		timeline_complete();
		find_next();
		if
		:: next == published -> break
		:: else ->
			published = next;
#ifdef MUTANT_PUBLISH_FENCE
			store(MONITORED, next)
#else
			exchange(MONITORED, next) /* D2 */
#endif
#ifdef MUTANT_DAEMON_REREAD
			;
			break
#endif
		fi
	:: failed -> timeline_complete(); break
	od
}

/* Raised without another look: whoever is armed above was compared when it was armed. */
inline arm_remove(p)
{
	arm[p] = NONE;
	find_next();
	if
	:: !failed && published != NONE && next > published ->
#ifdef MUTANT_REMOVE_FORGETS
		next = NONE;
#endif
		published = next;
		exchange(MONITORED, next)
	:: else
	fi
}

/* No more states than there have to be. */
inline forget()
{
	d_step {
		p = 0;
		q = 0;
		minimum = 0;
		next = 0;
#ifndef FAILS
		seen = 0; /* anew with each look */
#endif
		woke = false
	}
}

inline handle_rung()
{
	if
	:: p == SIGNALER -> minimum = NONE
	:: else -> minimum = LOAD(PAIR_CELL(p) + MINIMUM) /* D1 */
	fi;
	if
	:: minimum != NONE && arm[p] != minimum ->
		if
		:: arm[p] != NONE -> arm_remove(p)
		:: else
		fi;
		arm[p] = minimum
	:: else
	fi;
	timeline_look();
	forget()
}

inline poison()
{
	d_step {
		LOCKED;
		old = word[PAYLOAD];
		word[PAYLOAD] = old | POISON
	}
}

inline timeline_fail()
{
#ifdef MUTANT_POISON_FIRST
	poison();
	exchange(STATUS, FAILING);
#else
	exchange(STATUS, FAILING); /* F1 */
	poison();                  /* F2 */
#endif
#ifdef MUTANT_DEATH_UNREAD
	old = seen;
#endif
#ifdef MUTANT_BOUND_LATE
	store(STATUS, FAILED);
	store(FAILED_FROM, old + 1);
#else
	store(FAILED_FROM, old + 1); /* F3 */
	store(STATUS, FAILED);
#endif
	failed = true;
	exchange(MONITORED, NONE); /* F4 */
	timeline_complete();       /* F5 */
#if defined(PAIR) && !defined(MUTANT_DEATH_SILENT)
	q = 0;
	do
	:: q < PROCESSES -> bump(PEER_CELL(q)); q++
	:: else -> break
	od
#endif
}

/* It is no more, and nothing that it stored is on its way. */
#if THREADS > 1
#define GONE (buffers[WAITERS].fill == 0 && buffers[WAITERS + 1].fill == 0)
#else
#define GONE (gone && buffers[WAITERS].fill == 0)
#endif

bool unwanted; /* for a reason of its own the daemon shall fail the timeline */

proctype daemon(byte me)
{
	byte arm[PROCESSES] = NONE;
	byte published = NONE;
	byte seen, minimum, next, old, p, q, i;
	bool failed, rung, woke, buried;

end:
	do
	:: atomic {
		if
		:: doorbell[0] -> p = 0
		:: doorbell[1] -> p = 1
#if PROCESSES > 1
		:: doorbell[2] -> p = 2
#endif
#if PROCESSES > 2
		:: doorbell[3] -> p = 3
#endif
		fi;
		doorbell[p] = false
	   };
#ifdef BELL
		d_step {
			LOCKED;
			rung = bell_summary[p];
			bell_summary[p] = false
		};
		if
		:: rung ->
			d_step {
				LOCKED;
				rung = bell[p];
				bell[p] = false
			}
		:: else
		fi;
		if
		:: rung -> handle_rung()
		:: else
		fi
#else
		handle_rung()
#endif
#ifdef DEATH
	:: dead[SIGNALER] && !failed && GONE ->
		doorbell[SIGNALER] = false;
#ifndef MUTANT_DEATH_UNREAD
		timeline_look();
#endif
		timeline_fail()
#endif
#ifdef FAIL
	:: unwanted && !failed -> timeline_fail()
#endif
#ifdef EXIT
	:: dead[0] && !buried ->
		doorbell[0] = false;
		buried = true;
		if
		:: arm[0] != NONE -> arm_remove(0)
		:: else
		fi
#endif
	od
}

init
{
	byte n;

	atomic {
		word[STATUS] = OK;
		word[FAILED_FROM] = NONE;
		word[MONITORED] = NONE;
		for (n : 0 .. 2 * PROCESSES) {
			word[CELL(n) + MINIMUM] = NONE
		}
#if SHOWN > 0
#if THREADS > 1
		listed = true;
#endif
		for (n : 0 .. SHOWN - 1) {
#if THREADS > 1
			shows[n] = true;
#endif
			word[PEER_CELL(n) + MAPPED] = 1
		}
#endif
#ifdef BELL
		for (n : 0 .. PROCESSES) {
			doorbell[n] = true
		}
#endif
		for (n : 0 .. DAEMON) {
			run storing(n)
		}
		for (n : 0 .. WAITERS - 1) {
			run waiter(n, (n < CROWD -> 0 : n - CROWD + 1))
		}
#if THREADS > 1
		for (n : 0 .. THREADS - 1) {
			run signaler(WAITERS + n, n + 1, n + 1)
		}
#else
		run signaler(WAITERS, 1, POINTS);
#endif
		run daemon(DAEMON);
		n = 0;
		if
		:: goto spared
		:: true
		fi
	};
#ifdef DEATH
	dead[SIGNALER] = true
#endif
#ifdef FAIL
	unwanted = true
#endif
#ifdef EXIT
	dead[0] = true
#endif
spared:
	skip
}

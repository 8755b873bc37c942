// SPDX-License-Identifier: MIT
/* Wires the parts together: arguments, policy, socket, loop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon.h"
#include "daemon/base/foreign.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/front/broker.h"
#include "daemon/front/bus-address.h"
#include "daemon/front/listener.h"
#include "proto/version.h"

#define SYSTEM_SOCKET "/run/fencebroker/socket"
#define SYSTEM_POLICY "/etc/fencebroker/policy.conf"

extern const char policy_default_system[];
extern const char policy_default_user[];

struct options {
	bool user_mode;
	bool check_policy;
	const char *socket;
	const char *policy;
	const char *bus;
};

static const char help_text[] =
	"Usage: fencebrokerd [OPTION]...\n"
	"Owns the shared memory-fence pages and translates them to kernel fences.\n"
	"\n"
	"  -u, --user           serve this user only; needs no privilege\n"
	"  -s, --socket PATH    listen here (default " SYSTEM_SOCKET ",\n"
	"                       with --user $XDG_RUNTIME_DIR/fencebroker/socket)\n"
	"  -p, --policy FILE    read this policy (default " SYSTEM_POLICY ",\n"
	"                       with --user ~/.config/fencebroker/policy.conf;\n"
	"                       built-in when that file does not exist)\n"
	"  -b, --bus ADDRESS    be on this bus: an address, system, session or none\n"
	"                       (default the system bus, with --user the session's;\n"
	"                       with --socket none)\n"
	"  -c, --check-policy   check the policy, and exit\n"
	"  -v, --verbose        log what clients do\n"
	"  -h, --help           show this\n"
	"  -V, --version        show the version\n"
	"\n"
	"If the service manager passes a socket, --socket is ignored.\n"
	"See also fencebrokerd(8), fencectl(1).\n";

/* -1 when the program ends here, with the status `ret_exit`. */
static int options_parse(int argc, char **argv, struct options *options, int *ret_exit)
{
	static const struct option long_options[] = {
		{ "user", no_argument, NULL, 'u' },
		{ "socket", required_argument, NULL, 's' },
		{ "policy", required_argument, NULL, 'p' },
		{ "bus", required_argument, NULL, 'b' },
		{ "check-policy", no_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "us:p:b:cvhV", long_options, NULL)) >= 0) {
		switch (option) {
		case 'u':
			options->user_mode = true;
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'p':
			options->policy = optarg;
			break;
		case 'b':
			options->bus = optarg;
			break;
		case 'c':
			options->check_policy = true;
			break;
		case 'v':
			log_set_verbose(1);
			break;
		case 'h':
			fputs(help_text, stdout);
			*ret_exit = EXIT_SUCCESS;
			return -1;
		case 'V':
			puts("fencebrokerd " FBK_VERSION_STRING);
			*ret_exit = EXIT_SUCCESS;
			return -1;
		default:
			*ret_exit = 2;
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "fencebrokerd: unexpected argument: %s\n", argv[optind]);
		*ret_exit = 2;
		return -1;
	}
	return 0;
}

/* The socket and policy paths that hold without options. -ENOENT without $XDG_RUNTIME_DIR. */
static int default_paths(const struct options *options, char *socket, char *policy, size_t size)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	const char *config = secure_getenv("XDG_CONFIG_HOME");
	const char *home = secure_getenv("HOME");
	if (!options->user_mode) {
		snprintf(socket, size, "%s", SYSTEM_SOCKET);
		snprintf(policy, size, "%s", SYSTEM_POLICY);
		return 0;
	}
	if (config && config[0]) {
		snprintf(policy, size, "%s/fencebroker/policy.conf", config);
	} else {
		snprintf(policy, size, "%s/.config/fencebroker/policy.conf", home ? home : "");
	}
	if (!options->socket && !options->check_policy && sd_listen_fds(0) == 0 &&
	    (!runtime || !runtime[0])) {
		log_error(
			"$XDG_RUNTIME_DIR is not set: log in properly, or say where with --socket");
		return -ENOENT;
	}
	snprintf(socket, size, "%s/fencebroker/socket", runtime ? runtime : "");
	return 0;
}

static struct policy *policy_read(const struct policy_source *source, const char **ret_name)
{
	struct policy *policy;
	char error[512];
	if (policy_source_load(source, &policy, ret_name, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return NULL;
	}
	return policy;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct broker *broker = arg;
	struct signalfd_siginfo info;
	if (read(fd, &info, sizeof(info)) != sizeof(info)) {
		return;
	}
	if (info.ssi_signo == SIGCHLD) {
		closer_tend(&broker->registry.closer);
	} else {
		log_info("%s: stopping", strsignal((int)info.ssi_signo));
		broker_stop(broker);
	}
}

/* A signalfd makes signals ordinary events of the loop, also those that come before it runs. */
static int signals_open(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The bus that the options choose: a daemon at a socket of its own is not the one that programs look for. */
static int join_bus(struct broker *broker, const struct options *options)
{
	static char text[PATH_MAX];
	const char *address = options->bus         ? options->bus
			      : options->socket    ? "none"
			      : options->user_mode ? "session"
						   : "system";
	bool session = strcmp(address, "session") == 0;
	if (strcmp(address, "none") == 0) {
		return 0;
	}
	if (session || strcmp(address, "system") == 0) {
		address = bus_address_of(session, text, sizeof(text));
	}
	int r = address ? broker_join_bus(broker, address) : 0;
	if (r < 0) {
		log_error("cannot be on the bus at %s: %s", address,
			  r == -EINVAL
				  ? "--bus takes the address of a unix socket, system, session "
				    "or none"
				  : strerrordesc_np(-r));
	}
	return r;
}

static int serve(struct broker *broker, struct listener *listener)
{
	int signals = signals_open();
	if (signals < 0) {
		return log_call("signalfd4", -errno);
	}
	struct event *event = loop_listen(&broker->registry.loop, signals, EV_READ | EV_PERSIST,
					  PRIORITY_FENCE, on_signal, broker);
	const struct counters *counters = &broker->registry.counters;
	int r = -ENOMEM;
	if (event && listener_start(listener, broker) == 0) {
		notify_manager("READY=1\nSTATUS=serving %s",
			       listener->path ? listener->path : "the passed socket");
		log_info("version %s, serving %s, policy %s", FBK_VERSION_STRING,
			 listener->path ? listener->path : "the passed socket",
			 broker->policy_name);
		r = broker_run(broker);
		if (counters->promises > 0) {
			log_info("promises: %llu made, %llu kept, %llu broken, %u left",
				 (unsigned long long)counters->promises,
				 (unsigned long long)counters->promises_kept,
				 (unsigned long long)counters->promises_broken,
				 broker->translator.promise_count);
		}
		notify_manager("STOPPING=1");
	}
	event_drop(event);
	close(signals);
	return r;
}

/* Where one of them was closed, the next file that is opened would get its number, and the log's lines. */
static void standard_files_open(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0) {
		close(fd);
	}
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct listener listener;
	struct broker *broker;
	char socket[PATH_MAX];
	char policy_path[PATH_MAX];
	char error[512] = "";
	const char *policy_name;
	int exit_status;

	if (options_parse(argc, argv, &options, &exit_status) < 0) {
		return exit_status;
	}
	standard_files_open();
	signal(SIGPIPE, SIG_IGN);
	atexit(log_finish);
	foreign_init();
	if (default_paths(&options, socket, policy_path, sizeof(socket)) < 0) {
		return EXIT_FAILURE;
	}
	const struct policy_source source = {
		.path = options.policy ? options.policy : policy_path,
		.required = options.policy,
		.built_in = options.user_mode ? policy_default_user : policy_default_system,
	};
	struct policy *policy = policy_read(&source, &policy_name);
	if (!policy) {
		return EXIT_FAILURE;
	}
	if (options.check_policy) {
		printf("%s: ok\n", policy_name);
		policy_destroy(policy);
		return EXIT_SUCCESS;
	}
	int r = listener_open(&listener, options.socket ? options.socket : socket,
			      options.user_mode, error, sizeof(error));
	if (r < 0) {
		log_error("%s", error[0] ? error : strerrordesc_np(-r));
		policy_destroy(policy);
		return EXIT_FAILURE;
	}
	r = broker_create(policy, policy_name, options.user_mode, &broker);
	if (r < 0) {
		log_error("cannot start: %s", strerrordesc_np(-r));
		listener_close(&listener);
		return EXIT_FAILURE;
	}
	broker->reload.source = source;
	const char *missing = probe_fatal(&broker->probe);
	if (missing) {
		log_error("cannot run here: %s", missing);
		r = -ENOSYS;
	} else {
		r = join_bus(broker, &options);
		r = r < 0 ? r : serve(broker, &listener);
	}
	listener_close(&listener);
	broker_destroy(broker);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

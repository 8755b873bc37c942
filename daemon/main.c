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
#define POLICY_SIZE   (PATH_MAX + 64)

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
	"  -p, --policy FILE    read this policy, and nothing else (default\n"
	"                       " SYSTEM_POLICY " or the built-in one, with\n"
	"                       what is in policy.d; with --user ~/.config/fencebroker)\n"
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

/* Where the daemon looks without options. Threads may read it to the end of the process. */
static struct {
	char socket[POLICY_SIZE];
	char policy[POLICY_SIZE];
	char drop_ins[POLICY_SIZE];
	char state[PATH_MAX];
	const char *directories[4];
} paths;

static const char *const system_directories[] = {
	"/etc/fencebroker/policy.d",
	"/run/fencebroker/policy.d",
	FBK_VENDOR_DIR "/policy.d",
	NULL,
};

static void user_paths(void)
{
	const char *config = secure_getenv("XDG_CONFIG_HOME");
	const char *home = secure_getenv("HOME");
	char directory[PATH_MAX];
	if (config && config[0]) {
		snprintf(directory, sizeof(directory), "%s/fencebroker", config);
	} else {
		snprintf(directory, sizeof(directory), "%s/.config/fencebroker", home ? home : "");
	}
	snprintf(paths.policy, sizeof(paths.policy), "%s/policy.conf", directory);
	snprintf(paths.drop_ins, sizeof(paths.drop_ins), "%s/policy.d", directory);
	paths.directories[0] = paths.drop_ins;
	paths.directories[1] = "/etc/fencebroker/user-policy.d";
	paths.directories[2] = FBK_VENDOR_DIR "/user-policy.d";
}

/* The service manager's, of which the unit asks for one. */
static const char *state_directory(void)
{
	const char *state = secure_getenv("STATE_DIRECTORY");
	snprintf(paths.state, sizeof(paths.state), "%.*s", (int)strcspn(state ? state : "", ":"),
		 state ? state : "");
	return paths.state[0] == '/' ? paths.state : NULL;
}

/* -ENOENT without $XDG_RUNTIME_DIR. */
static int default_socket(const struct options *options)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	if (!options->user_mode) {
		snprintf(paths.socket, sizeof(paths.socket), "%s", SYSTEM_SOCKET);
		return 0;
	}
	if (!options->socket && !options->check_policy && sd_listen_fds(0) == 0 &&
	    (!runtime || !runtime[0])) {
		log_error(
			"$XDG_RUNTIME_DIR is not set: log in properly, or say where with --socket");
		return -ENOENT;
	}
	snprintf(paths.socket, sizeof(paths.socket), "%s/fencebroker/socket",
		 runtime ? runtime : "");
	return 0;
}

static struct policy_source policy_source(const struct options *options)
{
	snprintf(paths.policy, sizeof(paths.policy), "%s", SYSTEM_POLICY);
	if (options->user_mode) {
		user_paths();
	}
	return (struct policy_source){
		.path = options->policy ? options->policy : paths.policy,
		.alone = options->policy,
		.built_in = options->user_mode ? policy_default_user : policy_default_system,
		.directories = options->user_mode ? paths.directories : system_directories,
		.state = options->policy ? NULL : state_directory(),
	};
}

static int policy_check(const struct policy_source *source)
{
	struct policy *policy;
	char error[512];
	if (policy_source_check(source, &policy, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < policy_file_count(policy); i++) {
		printf("%s: ok\n", policy_file(policy, i));
	}
	policy_destroy(policy);
	return EXIT_SUCCESS;
}

/* `ret_problem` gets what is wrong with the files where another policy is in force. */
static struct policy *policy_start(const struct policy_source *source, char *ret_problem,
				   size_t size)
{
	struct policy *policy;
	if (policy_source_start(source, &policy, ret_problem, size) < 0) {
		log_error("%s", ret_problem);
		return NULL;
	}
	if (ret_problem[0]) {
		log_warning_about(&(struct log_subject){ .message_id = LOG_MESSAGE_POLICY }, "%s",
				  ret_problem);
		log_warning("that policy is not in force, but the %s one: correct it, and run "
			    "`fencectl reload`",
			    policy_name(policy));
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
		const char *socket = listener->path ? listener->path : "the passed socket";
		log_info("version %s, serving %s, policy %s", FBK_VERSION_STRING, socket,
			 policy_name(broker->registry.policy));
		broker_tell_serving(broker, socket);
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
	char error[512] = "";
	char problem[512];
	int exit_status;

	if (options_parse(argc, argv, &options, &exit_status) < 0) {
		return exit_status;
	}
	standard_files_open();
	signal(SIGPIPE, SIG_IGN);
	atexit(log_finish);
	foreign_init();
	if (default_socket(&options) < 0) {
		return EXIT_FAILURE;
	}
	const struct policy_source source = policy_source(&options);
	if (options.check_policy) {
		return policy_check(&source);
	}
	struct policy *policy = policy_start(&source, problem, sizeof(problem));
	if (!policy) {
		return EXIT_FAILURE;
	}
	int r = listener_open(&listener, options.socket ? options.socket : paths.socket,
			      options.user_mode, error, sizeof(error));
	if (r < 0) {
		log_error("%s", error[0] ? error : strerrordesc_np(-r));
		policy_destroy(policy);
		return EXIT_FAILURE;
	}
	r = broker_create(policy, options.user_mode, &broker);
	if (r < 0) {
		log_error("cannot start: %s", strerrordesc_np(-r));
		listener_close(&listener);
		return EXIT_FAILURE;
	}
	broker_set_policy_problem(broker, problem);
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

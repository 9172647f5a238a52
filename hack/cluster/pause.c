// The process that keeps a Pod's namespaces: it waits to be told to stop, and buries what others leave behind.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal) {
	(void)signal;
	_exit(0);
}

static void bury(int signal) {
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
}

int main(void) {
	// Process 1 gets only those signals that it handles.
	struct sigaction on_stop = {.sa_handler = stop}, on_child = {.sa_handler = bury, .sa_flags = SA_NOCLDSTOP};
	if (sigaction(SIGINT, &on_stop, NULL) || sigaction(SIGTERM, &on_stop, NULL) || sigaction(SIGCHLD, &on_child, NULL)) {
		return 1;
	}
	for (;;) {
		pause();
	}
}

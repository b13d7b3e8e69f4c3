#include "tests/lib/http_stub.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/test.h"

char *http_stub_header(const struct http_stub_call *call, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = call->headers; *line; line += strcspn(line, "\n"), line += *line != 0)
		if (!strncasecmp(line, name, n) && line[n] == ':')
			return xstrndup(line + n + 1 + strspn(line + n + 1, " "), strcspn(line + n + 1 + strspn(line + n + 1, " "), "\r\n"));
	return NULL;
}

/* The whole request, with as much body as Content-Length says. False: the other side is gone. */
static bool read_request(int fd, struct buf *b, size_t *head)
{
	struct http_stub_call call = {0};
	char piece[4096];
	size_t want = 0;

	for (;;) {
		const char *end = *head ? NULL : strstr(buf_str(b), "\r\n\r\n");

		if (end) {
			*head = (size_t)(end - b->data) + 4;
			call.headers = b->data;
			CLEANUP(cstr_release) char *length = http_stub_header(&call, "Content-Length");

			want = *head + (length ? (size_t)strtoul(length, NULL, 10) : 0);
		}
		if (*head && b->len >= want)
			return true;
		ssize_t n = read(fd, piece, sizeof piece);

		if (n <= 0)
			return false;
		buf_put(b, piece, (size_t)n);
	}
}

static void serve_one(struct http_stub *s, int fd)
{
	CLEANUP(buf_release) struct buf request = BUF_INIT, body = BUF_INIT, answer = BUF_INIT;
	size_t head = 0;

	if (!read_request(fd, &request, &head))
		return;
	request.data[head - 1] = 0;
	CLEANUP(cstr_release) char *method = xstrndup(request.data, strcspn(request.data, " "));
	const char *path = request.data + strlen(method) + 1;
	CLEANUP(cstr_release) char *only_path = xstrndup(path, strcspn(path, " "));
	struct http_stub_call call = {method, only_path, request.data + strcspn(request.data, "\n") + 1, request.data + head};

	atomic_fetch_add(&s->calls, 1);
	int status = s->answer(s->ctx, &call, &body);

	if (!status)
		return;
	buf_printf(&answer, "HTTP/1.1 %d Something\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n%s", status,
		   body.len, s->headers ? s->headers : "", buf_str(&body));
	for (size_t done = 0; done < answer.len;) {
		ssize_t n = send(fd, answer.data + done, answer.len - done, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

static void serve(void *arg)
{
	struct http_stub *s = arg;

	for (;;) {
		CLEANUP(fd_release) int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		serve_one(s, fd);
	}
}

void http_stub_start(struct http_stub *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s->listener >= 0 && !bind(s->listener, (const struct sockaddr *)&a, sizeof a) && !listen(s->listener, 16));
	CHECK(!getsockname(s->listener, (struct sockaddr *)&a, &n));
	s->port = ntohs(a.sin_port);
	CHECK_OK(thread_start(&s->thread, "http stub", serve, s, &err), err);
}

void http_stub_stop(struct http_stub *s)
{
	shutdown(s->listener, SHUT_RDWR);
	thread_join(&s->thread);
	fd_release(&s->listener);
}

#include "net/http_internal.h"

#include <pthread.h>

#include "util/thread.h"

#define STALL DURATION_SECONDS(60)
#define LOOK DURATION_SECONDS(1) /* how long one wait may be */
#define KEEP 16

struct http_client {
	struct http_params params;
	char *ca; /* owned; params.ca */
	pthread_mutex_t mutex;
	struct http_link *idle; /* under mutex; the one used last comes first */
	unsigned idle_count;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		die("libcurl cannot be started");
}

void http_library_init(void) { pthread_once(&once, start_library); }

/* ---- links ---- */

static struct http_link *link_new(void)
{
	struct http_link *l = xcalloc(1, sizeof *l);

	l->multi = curl_multi_init();
	l->easy = curl_easy_init();
	if (!l->multi || !l->easy)
		die("out of memory");
	curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, 1L);
	return l;
}

static void link_free(struct http_link *l)
{
	curl_easy_cleanup(l->easy);
	curl_multi_cleanup(l->multi);
	free(l);
}

static struct http_link *take_link(struct http_client *c)
{
	mutex_lock(&c->mutex);
	struct http_link *l = c->idle;

	if (l) {
		c->idle = l->next;
		c->idle_count--;
	}
	mutex_unlock(&c->mutex);
	return l ? l : link_new();
}

static void give_link_back(struct http_client *c, struct http_link *l)
{
	curl_easy_reset(l->easy); /* it points into the request; its connection stays */
	mutex_lock(&c->mutex);
	if (c->idle_count < (c->params.keep ? c->params.keep : KEEP)) {
		l->next = c->idle;
		c->idle = l;
		c->idle_count++;
		l = NULL;
	}
	mutex_unlock(&c->mutex);
	if (l)
		link_free(l);
}

struct http_client *http_client_new(const struct http_params *params)
{
	struct http_client *c = xcalloc(1, sizeof *c);

	http_library_init();
	c->params = *params;
	c->ca = params->ca ? xstrdup(params->ca) : NULL;
	c->params.ca = c->ca;
	mutex_init(&c->mutex);
	return c;
}

void http_client_freep(struct http_client **c)
{
	if (!*c)
		return;
	while ((*c)->idle) {
		struct http_link *l = (*c)->idle;

		(*c)->idle = l->next;
		link_free(l);
	}
	mutex_destroy(&(*c)->mutex);
	free((*c)->ca);
	free(*c);
	*c = NULL;
}

/* ---- one request ---- */

static void exchange_release(struct http_exchange *x)
{
	for (struct curl_slist *l = x->lines; l; l = l->next)
		secure_zero(l->data, strlen(l->data));
	curl_slist_free_all(x->lines);
	free(x->host);
	free(x->scheme);
	free(x->where);
}

static struct duration stall_of(const struct http_exchange *x)
{
	return x->q->stall.us > 0 ? x->q->stall : x->params->stall.us > 0 ? x->params->stall : STALL;
}

static enum status late(const struct http_exchange *x, const char *what, struct duration d, struct error *err)
{
	CLEANUP(buf_release) struct buf time = BUF_INIT;

	duration_print(d, &time);
	error_set(err, ST_UNREACHABLE, "%s: %s %s", x->where, what, buf_str(&time));
	err->retry = true;
	return err->code;
}

/* How long to wait now; 0: a limit is reached, and err says which. */
static struct duration patience(struct http_exchange *x, struct instant end, struct error *err)
{
	const struct duration none = {0};
	struct instant now = run_mono(x->run);
	struct duration left = LOOK, stall = stall_of(x);

	if (run_check(x->run, err))
		return none;
	if (end.us && now.us >= end.us) {
		late(x, "no whole answer within", x->q->time, err);
		return none;
	}
	if (x->connected && instant_diff(now, x->moved).us >= stall.us) {
		late(x, "nothing was sent or received for", stall, err);
		return none;
	}
	if (end.us)
		left.us = (int64_t)min_u64((uint64_t)left.us, (uint64_t)instant_diff(end, now).us);
	if (x->connected)
		left.us = (int64_t)min_u64((uint64_t)left.us, (uint64_t)(stall.us - instant_diff(now, x->moved).us));
	return run_left(x->run, left);
}

static enum status drive(struct http_exchange *x, struct error *err)
{
	struct curl_waitfd cancel = {.fd = run_cancel_fd(x->run), .events = CURL_WAIT_POLLIN};
	struct instant end = x->q->time.us > 0 ? instant_add(run_mono(x->run), x->q->time) : INSTANT_NONE;
	int running = 1;

	x->told = run_mono(x->run);
	for (;;) {
		CURLMcode m = curl_multi_perform(x->link->multi, &running);

		if (!m && !running)
			return ST_OK;
		struct duration d = patience(x, end, err);
		if (err->code)
			return err->code;
		if (x->q->patient && x->connected)
			http_alive(x);
		if (!m)
			m = curl_multi_poll(x->link->multi, &cancel, cancel.fd >= 0, (int)(d.us / 1000) + 1, NULL);
		if (m)
			return error_set(err, ST_IO, "%s: %s", x->where, curl_multi_strerror(m));
	}
}

static CURLcode outcome(struct http_exchange *x)
{
	int left = 0;

	for (CURLMsg *m; (m = curl_multi_info_read(x->link->multi, &left));)
		if (m->msg == CURLMSG_DONE)
			return m->data.result;
	return CURLE_GOT_NOTHING;
}

static enum status exchange(struct http_exchange *x, struct error *err)
{
	if (http_prepare(x, err))
		return err->code;
	if (curl_multi_add_handle(x->link->multi, x->link->easy))
		return error_set(err, ST_IO, "%s: libcurl does not take the request", x->where);
	drive(x, err);
	CURLcode code = err->code ? CURLE_OK : outcome(x);
	if (!code && !err->code && !x->headers_end) /* which curl takes for an answer all the same */
		code = CURLE_PARTIAL_FILE;
	if (code)
		http_failure(x, code, err);
	if (err->code == ST_CANCELLED || err->code == ST_DEADLINE) /* the thread that looks for a name ends by itself */
		curl_easy_setopt(x->link->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_multi_remove_handle(x->link->multi, x->link->easy);
	if (!err->code)
		x->a->date = http_date(http_headers_get(&x->a->headers, "Date"));
	return err->code;
}

enum status http_send(struct run *run, struct http_client *c, const struct http_request *q, struct http_answer *a, struct error *err)
{
	CLEANUP(exchange_release) struct http_exchange x = {.run = run, .params = &c->params, .q = q, .a = a};

	if (run_check(run, err))
		return err->code;
	x.link = take_link(c);
	exchange(&x, err);
	give_link_back(c, x.link);
	return err->code;
}

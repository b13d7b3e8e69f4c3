/* Requests for access keys: a few tries of a small answer. */
#include "storage/s3/keys_ask.h"

#include "core/secret.h"

enum { ANSWER_MAX = 256 * 1024 };

/* Ten seconds for all tries: nobody waits longer for a key that another place may have. */
static const struct http_backoff backoff = {.first = {200000}, .most = {2000000}, .budget = {10000000}};

enum status s3_ask(struct run *run, const struct s3_asking *q, struct http_answer *a, struct error *err)
{
	CLEANUP(http_client_freep) struct http_client *client = http_client_new(&q->params);
	struct http_request request = q->request;
	struct http_retry retry = HTTP_RETRY_INIT;

	request.max = ANSWER_MAX;
	request.time = DURATION_SECONDS(20);
	for (;;) {
		if (!http_send(run, client, &request, a, err)) {
			if (!http_status_retryable(a->status))
				return ST_OK;
			http_status_error(a, err);
		}
		if (q->single)
			return err->code;
		if (http_retry_wait(run, &backoff, &retry, a, err))
			return err->code;
		s3_answer_wipe(a);
	}
}

void s3_answer_wipe(struct http_answer *a)
{
	wiped_release(&a->body);
	http_answer_release(a);
}

/* "http://host:port/..." */
enum status s3_split_url(const char *url, bool *https, char **host, struct error *err)
{
	const char *s = strstr(url, "://");
	size_t scheme = s ? (size_t)(s - url) : 0;

	*https = scheme == 5 && !strncasecmp(url, "https", 5);
	if (!s || (!*https && (scheme != 4 || strncasecmp(url, "http", 4))))
		return error_set(err, ST_CONFIG, "is no URL that begins with http:// or https://");
	s += 3;
	size_t authority = strcspn(s, "/?#");

	if (memchr(s, '@', authority))
		return error_set(err, ST_CONFIG, "a user in the URL is not known there");
	if (*s == '[')
		*host = xstrndup(s + 1, min_size(strcspn(s + 1, "]"), authority));
	else
		*host = xstrndup(s, strcspn(s, ":/?#"));
	return **host ? ST_OK : error_set(err, ST_CONFIG, "the URL names no host");
}

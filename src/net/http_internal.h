/* What the files of the HTTP client share. */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "net/http.h"
#include "net/tls.h"

/* A handle with its own kept connection. In the client's list while it is idle, else of one request. */
struct http_link {
	CURLM *multi;
	CURL *easy;
	struct tls_verdict verdict; /* of the last handshake; the connection's callback writes it */
	struct http_link *next;
};

/* One request on its way. */
struct http_exchange {
	struct run *run;
	const struct http_params *params;
	const struct http_request *q;
	struct http_answer *a;
	struct http_link *link;
	struct curl_slist *lines; /* headers as curl takes them; owned */
	char *host, *scheme;      /* of the URL; owned */
	char *where;              /* "host:port", for messages; owned */
	enum tls_mode tls;
	size_t body_at, header_bytes;
	struct instant moved;     /* when the last byte went either way */
	struct instant told;      /* when q->alive was called, or could have been first */
	bool connected;
	bool headers_end;         /* the line after the last header came */
	bool too_long;            /* more came than was asked for */
	bool cut;                 /* of an answer that is an error only the beginning was taken */
	char text[CURL_ERROR_SIZE]; /* curl's own words */
};

/* Adds "name: value" of a header line as it came; what is no header is passed over. */
void http_headers_add_line(struct http_headers *h, const char *line, size_t n);
/* All options of the request. */
enum status http_prepare(struct http_exchange *x, struct error *err) MUST_CHECK;
/* Calls q->alive where it is time. */
void http_alive(struct http_exchange *x);
/* For CURLOPT_SSL_CTX_FUNCTION: what the check of the certificate finds goes to *verdict. */
CURLcode http_watch_handshake(CURL *easy, void *ssl_ctx, void *verdict);
/* What a failure of curl means. */
enum status http_failure(const struct http_exchange *x, CURLcode code, struct error *err);

#endif

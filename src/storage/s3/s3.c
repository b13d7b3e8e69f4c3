/* The table of the S3 storage: opening, settings, stock commands. */
#include "storage/s3/internal.h"

#include "util/fs.h"

#define SILENCE DURATION_SECONDS(60) /* the longest of a server, where `retry` is not shorter */

static void copy_params(struct s3_params *to, const struct s3_params *from)
{
	*to = *from;
	to->endpoint = NULL;
	to->region = NULL;
	to->tls_ca = from->tls_ca && *from->tls_ca ? xstrdup(from->tls_ca) : NULL;
	to->profile = from->profile ? xstrdup(from->profile) : NULL;
	to->sse_kms_key = from->sse_kms_key ? xstrdup(from->sse_kms_key) : NULL;
	to->storage_class = from->storage_class ? xstrdup(from->storage_class) : NULL;
	to->access_key = secret_copy(&from->access_key);
	to->secret_key = secret_copy(&from->secret_key);
	to->session_token = secret_copy(&from->session_token);
}

static void s3_close(void *priv)
{
	struct s3 *s = priv;

	http_client_freep(&s->http);
	s3_keychain_freep(&s->keys);
	s3_place_release(&s->place);
	free(s->params.profile);
	free(s->params.tls_ca);
	free(s->params.sse_kms_key);
	free(s->params.storage_class);
	secret_release(&s->params.access_key);
	secret_release(&s->params.secret_key);
	secret_release(&s->params.session_token);
	mutex_destroy(&s->mutex);
}

static const char *first(const char *a, const char *b) { return a && *a ? a : b; }

static enum status s3_open(struct run *run, void *priv, const char *url, const void *params, struct error *err)
{
	CLEANUP(s3_surroundings_release) struct s3_surroundings around = S3_SURROUNDINGS_INIT;
	const struct s3_params *given = params;
	struct s3 *s = priv;
	struct s3_place place;

	if (run_check(run, err) || s3_surroundings_read(given->profile, &around, err) ||
	    s3_place_make(url, first(given->endpoint, around.endpoint), first(given->region, around.region),
			  (enum s3_style)given->path_style, &place, err))
		return err->code;
	if (given->sse_kms_key && given->sse != S3_SSE_KMS) {
		s3_place_release(&place);
		return error_set(err, ST_CONFIG, "sse_kms_key is for sse: kms");
	}
	s->place = place;
	s->place.mode = (enum tls_mode)given->tls;
	copy_params(&s->params, given);
	const char *ca = first(given->tls_ca, around.ca_file);
	const struct http_params http = {.tls = (enum tls_mode)given->tls, .ca = ca, .stall = given->retry.us < SILENCE.us ? given->retry : SILENCE};
	s->key_params = (struct s3_key_params){.access_key = s->params.access_key, .secret_key = s->params.secret_key,
					       .session_token = s->params.session_token, .profile = s->params.profile,
					       .region = s->place.region, .tls = (enum tls_mode)given->tls,
					       .ca = s->params.tls_ca};
	s->http = http_client_new(&http);
	s->keys = s3_keychain_new(&s->key_params);
	atomic_store(&s->parts, 2);
	mutex_init(&s->mutex);
	return ST_OK;
}

static char *s3_url(void *priv)
{
	const struct s3 *s = priv;

	return s3_place_url(&s->place);
}

static uint64_t s3_object_max(void *priv UNUSED) { return (uint64_t)S3_PART * S3_PARTS_GOOD; }

static struct duration s3_retention(void *priv)
{
	const struct s3 *s = priv;

	return s->params.object_lock;
}

static void s3_put_parts(void *priv, unsigned parts)
{
	struct s3 *s = priv;

	atomic_store(&s->parts, parts ? parts : 1);
}

static void s3_fetch_line(void *priv, const char *key, const char *file, struct buf *to)
{
	const struct s3 *s = priv;
	CLEANUP(cstr_release) char *from = xasprintf("s3://%s/%s%s", s->place.bucket, s->place.prefix, key);

	buf_puts(to, "aws ");
	if (!strstr(s->place.endpoint, ".amazonaws.com")) {
		buf_puts(to, "--endpoint-url ");
		buf_shell_word(to, s->place.endpoint);
		buf_putc(to, ' ');
	}
	buf_printf(to, "--region %s s3 cp ", s->place.region);
	buf_shell_word(to, from);
	buf_putc(to, ' ');
	buf_shell_word(to, file);
}

static const char *const schemes[] = {"s3", NULL};
static const char *const variables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", NULL};
static const char *const styles[] = {"auto", "1", "0", NULL};
static const char *const lock_modes[] = {"governance", "compliance", NULL};
static const char *const sse_kinds[] = {"default", "aes256", "kms", NULL};

#define ROW(field, kind) .scope = SCOPE_STORE, .key = #field, .type = kind, .offset = offsetof(struct s3_params, field)
static const struct setting settings[] = {
	{ROW(endpoint, SET_STRING), .arg = "URL",
	 .help = "server that speaks S3, as http(s)://HOST[:PORT]; without it AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, else AWS"},
	{ROW(region, SET_STRING), .arg = "NAME",
	 .help = "region of the bucket; without it AWS_REGION, AWS_DEFAULT_REGION or the profile, else us-east-1"},
	{ROW(path_style, SET_CHOICE), .def = "auto", .choices = styles, .arg = "auto|1|0",
	 .help = "1: the bucket is in the path of a request, 0: in the host's name; auto: in the name for AWS only"},
	{ROW(profile, SET_STRING), .arg = "NAME", .help = "profile of ~/.aws/config and ~/.aws/credentials; without it AWS_PROFILE"},
	{ROW(access_key, SET_SECRET), .arg = "ID", .help = "access key; without it the places where AWS' own tools look"},
	{ROW(secret_key, SET_SECRET), .arg = "KEY", .help = "secret that belongs to access_key"},
	{ROW(session_token, SET_SECRET), .arg = "TOKEN", .help = "token that belongs to a temporary access_key"},
	{ROW(tls, SET_CHOICE), .def = "default", .choices = tls_mode_names, .arg = "MODE",
	 .help = "what the connection must prove: " TLS_MODE_HELP},
	{ROW(tls_ca, SET_STRING), .arg = "FILE", .help = "certificates of the authorities to trust instead of the system's"},
	{ROW(object_lock, SET_DURATION), .def = "0s", .arg = "DURATION",
	 .help = "how long archives, manifests and evidence can be neither deleted nor replaced; the bucket must have object lock"},
	{ROW(object_lock_mode, SET_CHOICE), .def = "governance", .choices = lock_modes, .arg = "governance|compliance",
	 .help = "whether an administrator can lift the lock (governance) or nobody (compliance)"},
	{ROW(sse, SET_CHOICE), .def = "default", .choices = sse_kinds, .arg = "default|aes256|kms",
	 .help = "encryption by the store itself; default: as the bucket is set up"},
	{ROW(sse_kms_key, SET_STRING), .arg = "KEY", .help = "key of the store's key service for sse: kms"},
	{ROW(storage_class, SET_STRING), .arg = "CLASS",
	 .help = "storage class of archives, such as STANDARD_IA; manifests, locks and evidence stay in the bucket's own"},
	{ROW(retry, SET_DURATION), .def = "5m", .arg = "DURATION", .help = "how long a request that fails for the moment is tried again, and a silent server waited for (a minute at most)"},
	SETTING_END,
};

const struct storage_ops storage_s3 = {
	.name = "s3",
	.schemes = schemes,
	.settings = settings,
	.params_size = sizeof(struct s3_params),
	.priv_size = sizeof(struct s3),
	.caps = STORAGE_ABSENT | STORAGE_MATCHES | STORAGE_VERSIONS,
	.part_size = S3_PART,
	.variables = variables,
	.open = s3_open,
	.close = s3_close,
	.put_open = s3_put_open,
	.put_write = s3_put_write,
	.put_finish = s3_put_finish,
	.put_abort = s3_put_abort,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.delete = s3_delete,
	.uncommitted = s3_uncommitted,
	.versions = s3_versions,
	.version_delete = s3_version_delete,
	.caps_now = s3_caps,
	.url = s3_url,
	.object_max = s3_object_max,
	.retention = s3_retention,
	.put_parts = s3_put_parts,
	.fetch_line = s3_fetch_line,
	.get_whole = s3_get_whole,
	.delete_many = s3_delete_many,
	.remarks = s3_remarks,
};

#include "drivers/mongodb/load_log.h"

static bool number_of(const char **text, char end, uint32_t *to)
{
	char *stop;

	if (**text < '0' || **text > '9')
		return false;
	const unsigned long long n = strtoull(*text, &stop, 10);
	if (*stop != end || n > UINT32_MAX)
		return false;
	*to = (uint32_t)n;
	*text = stop + 1;
	return true;
}

static bool time_of(const json_t *facts, const char *key, struct mo_optime *to)
{
	const char *text = js_opt_str(facts, key, "");

	*to = (struct mo_optime){.term = -1};
	return number_of(&text, ':', &to->t) && number_of(&text, 0, &to->i);
}

static enum status take_object(void *arg, const struct recorded_object *o, struct error *err)
{
	struct mo_log *log = arg;

	if (strcmp(js_opt_str(o->facts, "type", ""), "oplog"))
		return ST_OK;
	if (log->has || !time_of(o->facts, "from", &log->from) || !time_of(o->facts, "to", &log->to) || mo_optime_number(&log->from) > mo_optime_number(&log->to))
		return error_set(err, ST_BAD, "the log of the backup does not say from when to when it is");
	log->has = true;
	log->id = o->id;
	log->rows = o->rows;
	log->raw = o->raw;
	return ST_OK;
}

enum status mo_log_find(const struct recorded *r, struct mo_log *log, struct error *err)
{
	*log = (struct mo_log){.has = false};
	return r->each(r->ctx, MO_LOG_SCOPE, take_object, log, err);
}

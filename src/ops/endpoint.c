/* From a bound source to what a driver is given. */
#include "ops/internal.h"

struct endpoint endpoint_of(struct op_env *env, const struct op_source *s, const struct tmpdir *dir)
{
	return (struct endpoint){
		.url = s->url,
		.user = s->user,
		.password = &s->password,
		.tls = (enum tls_mode)s->s.tls,
		.tls_ca = s->s.tls_ca,
		.params = s->params,
		.notes = env->notes,
		.spool_dir = dir->path,
		.cluster = s->s.cluster,
	};
}

enum status budget_of(struct op_env *env, uint32_t chunk_size, bool load, struct budget *b, struct error *err)
{
	struct budget_request q = {
		.mem_limit = env->global->mem_limit,
		.jobs = (unsigned)env->global->jobs,
		.chunk_size = chunk_size,
		.load = load,
	};

	return budget_divide(&q, b, err);
}

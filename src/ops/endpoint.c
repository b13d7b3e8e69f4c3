/* From a bound source to what a driver is given. */
#include "ops/internal.h"

#define SCRYPT_MEMORY ((uint64_t)1024 << SEAL_WORK_BACKUP)

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

enum status budget_of(struct op_env *env, const struct budget_use *use, struct budget *b, struct error *err)
{
	struct budget_request q = {
		.mem_limit = env->global->mem_limit,
		.jobs = (unsigned)env->global->jobs,
		.chunk_size = use->chunk_size,
		.load = use->load,
		.large = use->sealed || use->network,
		.each_reader = use->sealed ? OPENER_BUFFER : 0,
		.others = use->passphrase ? SCRYPT_MEMORY : 0,
		.part_stores = use->part_stores,
		.part_size = use->part_size,
	};

	return budget_divide(&q, b, err);
}

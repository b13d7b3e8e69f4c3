/* The functions behind driver_mongodb; driver.h says what each promises. */
#ifndef DRIVERS_MONGODB_MODRIVER_H
#define DRIVERS_MONGODB_MODRIVER_H

#include "drivers/driver.h"

enum status mo_probe(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err);

enum status mo_dump_open(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info,
			 void **dump, struct error *err);
enum status mo_dump_entries(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
enum status mo_scope_begin(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects,
			   const struct entry_sink *entries, struct error *err);
enum status mo_worker_open(struct run *run, void *dump, void **worker, struct error *err);
enum status mo_dump_unit(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err);
void mo_worker_close(void *worker);
enum status mo_inventory(struct run *run, void *dump, const struct inventory_sink *items, struct error *err);
enum status mo_scope_end(struct run *run, void *dump, const struct entry_sink *entries, struct error *err);
void mo_dump_close(void *dump);

enum status mo_load_plan(struct run *run, const struct endpoint *e, const struct load_request *q, struct load_plan *p,
			 struct error *err);
enum status mo_load_open(struct run *run, const struct endpoint *e, const struct load_request *q, const struct load_plan *p,
			 void **load, struct error *err);
enum status mo_load_choose(void *load, size_t i, struct error *err);
enum status mo_load_begin(struct run *run, void *load, bool resumed, struct error *err);
bool mo_load_wants(void *load, const struct recorded_object *o);
bool mo_load_has_unit(void *load, const struct load_unit *u);
enum status mo_load_worker_open(struct run *run, void *load, void **worker, struct error *err);
enum status mo_load_unit(struct run *run, void *worker, const struct load_unit *u, struct chunk_source *chunks,
			 struct load_unit_result *result, struct error *err);
void mo_load_worker_close(void *worker);
enum status mo_load_end(struct run *run, void *load, struct error *err);
void mo_load_close(void *load, bool complete);

enum status mo_exchange(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err);
enum status mo_assert_query(struct run *run, const struct endpoint *e, const char *database, const char *query, bool *holds,
			    char **answer, struct error *err);
enum status mo_scratch_start(struct run *run, const struct scratch_spec *s, char **url, void **scratch, struct error *err);
void mo_scratch_stop(void *scratch);

void mo_interrupt(void *handle, enum driver_handle kind);
/* Each acts on its own kind of handle; mo_interrupt chooses. */
void mo_interrupt_dump(void *dump);
void mo_interrupt_worker(void *worker);
void mo_interrupt_load(void *load);
void mo_interrupt_load_worker(void *worker);

#endif

/* From a list to a filter. */
#include <sched.h>
#include <seccomp.h>

#include "base/confine.h"
#include "base/util.h"

static int add_rule(scmp_filter_ctx filter, const struct confine_rule *rule)
{
    struct scmp_arg_cmp compared[ARRAY_COUNT(rule->arguments)];
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rule->arguments); i++) {
        const struct confine_argument *a = &rule->arguments[i];
        if (a->differs)
            compared[count++] = SCMP_CMP(a->index, SCMP_CMP_NE, a->value, 0);
        else if (a->mask != 0)
            compared[count++] = SCMP_CMP(a->index, SCMP_CMP_MASKED_EQ, a->mask, a->value);
    }
    uint32_t action = rule->error != 0 ? SCMP_ACT_ERRNO((uint32_t)rule->error) : SCMP_ACT_ALLOW;
    return seccomp_rule_add_array(filter, action, rule->call, count, compared);
}

/* clone3 keeps its flags in memory, where no filter can look: the C library falls back to clone. */
static int add_threads(scmp_filter_ctx filter, bool all_else)
{
    const struct confine_rule clone = { SCMP_SYS(clone),
                                        all_else ? EPERM : 0,
                                        { { 0, CLONE_THREAD, all_else ? 0 : CLONE_THREAD, false } } };
    int r = add_rule(filter, &clone);
    return r == 0 ? seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) : r;
}

static int add_rules(scmp_filter_ctx filter, const struct confine_calls *list, bool processes)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->call_count; i++)
        r = seccomp_rule_add(filter, list->all_else ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW, list->calls[i], 0);
    for (size_t i = 0; r == 0 && i < list->rule_count; i++)
        r = add_rule(filter, &list->rules[i]);
    return r == 0 && !processes ? add_threads(filter, list->all_else) : r;
}

int confine_calls(const struct confine_calls *list, bool processes)
{
    scmp_filter_ctx filter = seccomp_init(list->all_else ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return -ENOMEM;
    int r = add_rules(filter, list, processes);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}

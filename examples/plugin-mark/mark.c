/* A plug-in for hearth-player that marks what is heard: the sound at half its level, and under it, inaudibly, the mark of the device whose copy of the
 * plug-in this is. Whoever knows the original reads the mark from a recording, and the distributor knows the device by it:
 *
 *     out = in / 2 + DEPTH when bit (sample / HOLD mod 64) of the mark is one, else in / 2 - DEPTH
 *
 * It works only where hearth-player gave it the device's information, which comes with the plug-in and for this device only. */
#include <ladspa.h>
#include <stdlib.h>
#include <string.h>

#include "hearth-plugin.h"

#define EXPORTED __attribute__((visibility("default")))
#define DEPTH (1.0f / 4096.0f)
#define HOLD 16
#define MARK_BITS (8 * HEARTH_PLUGIN_MARK_BYTES)

enum { PORT_IN, PORT_OUT, PORT_COUNT };

static unsigned char mark[HEARTH_PLUGIN_MARK_BYTES];
static int begun;
static unsigned long frames; /* one thread processes all channels */

struct marker {
    LADSPA_Data *ports[PORT_COUNT];
    unsigned long at; /* sample of its channel */
};

EXPORTED int hearth_plugin_begin(const unsigned char information[HEARTH_PLUGIN_INFORMATION_BYTES])
{
    memcpy(mark, information, sizeof(mark));
    begun = 1;
    return 0;
}

EXPORTED unsigned long hearth_plugin_frames(void) { return __atomic_load_n(&frames, __ATOMIC_RELAXED); }

static LADSPA_Handle instantiate(const LADSPA_Descriptor *descriptor, unsigned long rate)
{
    (void)descriptor;
    (void)rate;
    return begun ? calloc(1, sizeof(struct marker)) : NULL;
}

static void connect_port(LADSPA_Handle handle, unsigned long port, LADSPA_Data *data)
{
    ((struct marker *)handle)->ports[port] = data;
}

static void run(LADSPA_Handle handle, unsigned long count)
{
    struct marker *m = handle;
    for (unsigned long i = 0; i < count; i++, m->at++) {
        unsigned bit = (unsigned)(m->at / HOLD % MARK_BITS);
        int one = mark[bit / 8] >> (bit % 8) & 1;
        m->ports[PORT_OUT][i] = m->ports[PORT_IN][i] * 0.5f + (one ? DEPTH : -DEPTH);
    }
    __atomic_fetch_add(&frames, count, __ATOMIC_RELAXED);
}

static void cleanup(LADSPA_Handle handle) { free(handle); }

EXPORTED const LADSPA_Descriptor *ladspa_descriptor(unsigned long index)
{
    static const LADSPA_PortDescriptor ports[PORT_COUNT] = { LADSPA_PORT_INPUT | LADSPA_PORT_AUDIO,
                                                             LADSPA_PORT_OUTPUT | LADSPA_PORT_AUDIO };
    static const char *const names[PORT_COUNT] = { "in", "out" };
    static const LADSPA_PortRangeHint hints[PORT_COUNT];
    static const LADSPA_Descriptor descriptor = {
        .Label = "mark",
        .Properties = LADSPA_PROPERTY_HARD_RT_CAPABLE,
        .Name = "Mark of the device",
        .Maker = "hearth",
        .Copyright = "None",
        .PortCount = PORT_COUNT,
        .PortDescriptors = ports,
        .PortNames = names,
        .PortRangeHints = hints,
        .instantiate = instantiate,
        .connect_port = connect_port,
        .run = run,
        .cleanup = cleanup,
    };
    return index == 0 ? &descriptor : NULL;
}

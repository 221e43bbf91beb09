/* Names of sound devices: which are one, which may be, and that ALSA's plug-ins with parameters are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "protocol/output.h"

static void judge_all(const char *const *names, size_t count, enum output_device expected)
{
    for (size_t i = 0; i < count; i++) {
        if (output_judge(names[i]) != expected)
            fail_msg("%s: %d", names[i], (int)output_judge(names[i]));
        assert_int_equal(output_is_device(names[i]), expected != OUTPUT_NO_DEVICE);
    }
}

static void test_devices(void **state)
{
    static const char *const names[] = {
        "alsa",
        "pulse",
        "pipewire",
        "jack",
        "alsa/default",
        "alsa/null",
        "alsa/sysdefault:CARD=PCH",
        "alsa/default:CARD=USB_DAC-2",
        "alsa/hw:0",
        "alsa/hw:0,3",
        "alsa/hw:CARD=PCH,DEV=0,SUBDEV=1",
        "alsa/plughw:CARD=0",
        "alsa/hdmi:CARD=NVidia,DEV=3",
        "alsa/surround51:CARD=PCH,DEV=0",
        "pulse/alsa_output.pci-0000_00_1f.3.analog-stereo",
        "pulse/@DEFAULT_SINK@",
        "pipewire/bluez_output.00:11:22:33:44:55.1",
        "jack/system:playback_1",
    };
    (void)state;
    judge_all(names, ARRAY_COUNT(names), OUTPUT_DEVICE);
}

static void test_if_listed(void **state)
{
    static const char *const names[] = { "alsa/kitchen", "alsa/tee", "alsa/file", "alsa/pulse", "alsa/upmix" };
    (void)state;
    judge_all(names, ARRAY_COUNT(names), OUTPUT_DEVICE_IF_LISTED);
}

static void test_no_devices(void **state)
{
    static const char *const names[] = {
        "",
        "pcm",
        "null",
        "alsaa",
        "als",
        "/alsa",
        "alsa/",
        "pulse/",
        "ALSA",
        "alsa:null",
        /* what writes files, or to a descriptor */
        "alsa/tee:null,/dev/shm/x,raw",
        "alsa/tee:null,2,raw",
        "alsa/tee:null,x",
        "alsa/tee:'null',2",
        "alsa/file:x,raw",
        "alsa/file:FILE=x",
        "alsa/plug:tee",
        "alsa/plug:'tee:null,2,raw'",
        "alsa/plug:SLAVE=null",
        /* a configuration in the name */
        "alsa/{type file slave.pcm null file /dev/shm/x}",
        "alsa/hw:0{type file}",
        "alsa/pcm.file",
        "alsa/cards.PCH.pcm.front",
        "alsa/!default",
        /* parameters that name no card */
        "alsa/hw:",
        "alsa/hw:0,",
        "alsa/hw:,0",
        "alsa/hw:0,0,0,0",
        "alsa/hw:CARD=",
        "alsa/hw:FILE=x",
        "alsa/hw:CARD=PCH DEV=0",
        "alsa/hw:CARD=/dev/shm/x",
        "alsa/hw:CARD=$(HOME)",
        "alsa/hw:CARD=a=b",
        "alsa/hw:CARD='x'",
        "alsa/hw:0\n",
        "alsa/null:0",
        "alsa/kitchen:0",
        "alsa/default /dev/shm/x",
        "alsa/caf\xc3\xa9",
    };
    (void)state;
    judge_all(names, ARRAY_COUNT(names), OUTPUT_NO_DEVICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_devices), cmocka_unit_test(test_if_listed),
                                        cmocka_unit_test(test_no_devices) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

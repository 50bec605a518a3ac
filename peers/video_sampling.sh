#!/bin/sh
# Compares sampling one frame a second at 448 pixels with the plain ffmpeg command line, in time and
# in memory, on 60 and 600 seconds of 720p H.264. Needs ffmpeg, cargo and GNU time.
# Usage: peers/video_sampling.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cargo build --release -p video --example sample
sample=${CARGO_TARGET_DIR:-target}/release/examples/sample
timed() {
    # Seconds passed, seconds of processor time, peak kilobytes, and what was measured.
    name=$1
    shift
    /usr/bin/time -f "%e s  %U+%S s cpu  %M kB  $name" "$@" >/dev/null
}

ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=1280x720:rate=30:duration=60 \
    -pix_fmt yuv420p -c:v libx264 -preset fast "$folder/60.mp4"
ffmpeg -v error -nostdin -stream_loop 9 -i "$folder/60.mp4" -c copy "$folder/600.mp4"
for seconds in 60 600; do
    for _ in $(seq "$rounds"); do
        timed "ours, $seconds s" "$sample" "$folder/$seconds.mp4"
        timed "ours, $seconds s, 30 frames kept" "$sample" "$folder/$seconds.mp4" 30
        timed "ffmpeg, $seconds s" ffmpeg -v error -nostdin -i "$folder/$seconds.mp4" \
            -vf fps=1,scale=448:-2 -pix_fmt rgb24 -f rawvideo -
    done
done

# `make demo` shows the main job end to end; `make test` runs every test. Both install what they need.

ALARUM = target/release/alarum
DEMO = demo

.PHONY: demo test check setup clean

demo: setup
	cargo build --release --locked --package alarum
	$(ALARUM) demo --out $(DEMO)

test: setup
	cargo test --workspace --locked

check: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# ffmpeg decodes and renders; everything else is cargo's.
setup:
	@if ! command -v ffmpeg > /dev/null || ! command -v ffprobe > /dev/null; then \
		if command -v apt-get > /dev/null; then \
			echo "installing ffmpeg"; \
			sudo=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
			$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends ffmpeg; \
		else \
			echo "alarum needs ffmpeg and ffprobe: install them with your package manager"; exit 1; \
		fi; \
	fi
	@command -v cargo > /dev/null || { echo "alarum needs a Rust toolchain (rustup)"; exit 1; }

clean:
	rm -rf $(DEMO)

# The training machine's image: no ROS distribution; bags are read without one.
#   docker build -f docker/training.Dockerfile -t dexpie-training .
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends make g++ libgl1 libegl1 libosmesa6 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/dexpie
COPY . .
RUN make setup
ENTRYPOINT ["./dexpie"]
CMD ["--help"]

/** The kubelet's side of the Container Runtime Interface: what a pod's life needs, over containerd's socket. */
import { openChannel } from '../../../src/grpc/channel.ts';
import { ImageService, NamespaceMode, RuntimeService } from '../gen/runtime/v1/cri_pb.ts';
import type { FilesystemUsage, ContainerStatus, Image } from '../gen/runtime/v1/cri_pb.ts';

export interface Usage {
  readonly mountpoint: string;
  readonly usedBytes: number;
  readonly inodes: number;
}

export interface Pod {
  readonly id: string;
  readonly config: ReturnType<typeof podConfig>;
}

export interface Cri {
  pull(reference: string): Promise<void>;
  images(): Promise<Image[]>;
  removeImage(reference: string): Promise<void>;
  imageFilesystems(): Promise<Usage[]>;
  /** A sandbox on the host's network. */
  runPod(name: string, logDirectory: string): Promise<Pod>;
  /** Stops and removes it with all its containers. */
  removePod(pod: Pod): Promise<void>;
  /** Creates and starts one. @returns its id. */
  runContainer(pod: Pod, name: string, reference: string, command: readonly string[]): Promise<string>;
  status(containerId: string): Promise<ContainerStatus | undefined>;
  /** Standard output of a shell script. @throws Error when it fails. */
  sh(containerId: string, script: string): Promise<string>;
  /** What the container has written. */
  writableLayer(containerId: string): Promise<Usage>;
  removeContainer(containerId: string): Promise<void>;
  close(): void;
}

const DEADLINE_MS = 120_000;
const HOST = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };

function podConfig(name: string, logDirectory: string) {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'default' },
    logDirectory,
    linux: { securityContext: { namespaceOptions: HOST } },
  };
}

export function openCri(address: string): Cri {
  const channel = openChannel(address, { deadlineMs: DEADLINE_MS, signal: undefined });
  const runtime = RuntimeService.method;
  const images = ImageService.method;
  return {
    async pull(image) {
      await channel.unary(images.pullImage, { image: { image } });
    },
    images: async () => (await channel.unary(images.listImages, {})).images,
    async removeImage(image) {
      await channel.unary(images.removeImage, { image: { image } });
    },
    async imageFilesystems() {
      return (await channel.unary(images.imageFsInfo, {})).imageFilesystems.map(toUsage);
    },
    async runPod(name, logDirectory) {
      const config = podConfig(name, logDirectory);
      return { id: (await channel.unary(runtime.runPodSandbox, { config })).podSandboxId, config };
    },
    async removePod({ id: podSandboxId }) {
      await channel.unary(runtime.stopPodSandbox, { podSandboxId });
      await channel.unary(runtime.removePodSandbox, { podSandboxId });
    },
    async runContainer({ id, config }, name, image, command) {
      const { containerId } = await channel.unary(runtime.createContainer, {
        podSandboxId: id,
        sandboxConfig: config,
        config: {
          metadata: { name },
          image: { image },
          command: [...command],
          logPath: `${name}.log`,
          linux: { securityContext: { namespaceOptions: HOST } },
        },
      });
      await channel.unary(runtime.startContainer, { containerId });
      return containerId;
    },
    status: async (containerId) => (await channel.unary(runtime.containerStatus, { containerId })).status,
    async sh(containerId, script) {
      const cmd = ['/bin/sh', '-c', script];
      const answer = await channel.unary(runtime.execSync, { containerId, cmd, timeout: 60n });
      const [stdout, stderr] = [answer.stdout, answer.stderr].map((bytes) => Buffer.from(bytes).toString());
      if (answer.exitCode !== 0) throw new Error(`exit code ${answer.exitCode}: ${script}\n${stderr ?? ''}`);
      return stdout ?? '';
    },
    async writableLayer(containerId) {
      return toUsage((await channel.unary(runtime.containerStats, { containerId })).stats?.writableLayer);
    },
    async removeContainer(containerId) {
      await channel.unary(runtime.stopContainer, { containerId, timeout: 0n });
      await channel.unary(runtime.removeContainer, { containerId });
    },
    close: () => channel.close(),
  };
}

function toUsage(usage: FilesystemUsage | undefined): Usage {
  return {
    mountpoint: usage?.fsId?.mountpoint ?? '',
    usedBytes: Number(usage?.usedBytes?.value ?? 0n),
    inodes: Number(usage?.inodesUsed?.value ?? 0n),
  };
}

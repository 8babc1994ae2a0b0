import { describeDmClient } from '../../contract/dm-client.contract.ts';
import { createFakeDmClient, createFakeKernel } from '../../fakes/dm-client.ts';

describeDmClient('the fake keeps the contract', () => {
  const kernel = createFakeKernel();
  let pools = 0;
  return Promise.resolve({
    client: createFakeDmClient(kernel),
    many: { devices: 120, callers: 32 },
    freshPoolDevices: () => {
      pools += 1;
      return Promise.resolve({ metadataDevice: `/dev/meta${pools}`, dataDevice: `/dev/data${pools}` });
    },
    hold: (name) => {
      kernel.setOpeners(name, 1);
      return Promise.resolve(() => {
        kernel.setOpeners(name, 0);
        return Promise.resolve();
      });
    },
    createEmpty: (name) => {
      kernel.createDevice(name, '');
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});
